/** The file in which native code keeps what it measured (native/core/tuning-cache.cc): what of it is damaged is said. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { warn } from '../base/warn.ts';

const FILE = 'convolutions-1.txt';
const MAX_BYTES = 64 * 2 ** 20;

/** Native code leaves damaged lines out and measures again; its user is told why that takes time. */
export async function warnOfDamagedCache(folder: string): Promise<void> {
  const file = join(folder, FILE);
  const damage = await damageOf(file);
  if (damage !== null)
    warn(
      'device/tuning-cache',
      `${file}: ${damage}; this is measured again where it is needed, and the next write mends the file`,
    );
}

async function damageOf(file: string): Promise<string | null> {
  const stats = await stat(file).catch(() => null);
  if (stats === null) return null;
  if (!stats.isFile()) return 'what was measured is no plain file and cannot be used';
  if (stats.size > MAX_BYTES) return `has ${stats.size} bytes, too many for what was measured`;
  const bytes = await readFile(file).catch(() => null);
  if (bytes === null) return 'what was measured cannot be read';
  let [lines, damaged] = [0, 0];
  for (let begin = 0; begin < bytes.length; ) {
    const newline = bytes.indexOf('\n', begin);
    const end = newline < 0 ? bytes.length : newline;
    lines++;
    if (!isWhole(bytes.subarray(begin, end))) damaged++;
    begin = end + 1;
  }
  return damaged === 0 ? null : `${damaged} of ${lines} lines of what was measured are damaged`;
}

/** A line ends in the FNV-1a of what stands before its last tab. */
function isWhole(line: Buffer): boolean {
  const tab = line.lastIndexOf('\t');
  return tab > 0 && line.toString('latin1', tab + 1) === fnv1a(line.subarray(0, tab));
}

// http://www.isthe.com/chongo/tech/comp/fnv/: 64 bits in two halves; the prime is 2^40 + 435.
function fnv1a(bytes: Uint8Array): string {
  let [high, low] = [0xcbf29ce4, 0x84222325];
  for (const byte of bytes) {
    const mixed = (low ^ byte) >>> 0;
    const product = mixed * 435;
    high = (Math.imul(high, 435) + Math.floor(product / 2 ** 32) + (mixed << 8)) >>> 0;
    low = product >>> 0;
  }
  return [high, low].map((half) => half.toString(16).padStart(8, '0')).join('');
}
