/** The current tables and logs of a database (CURRENT, MANIFEST; LevelDB's doc/impl.md and db/version_edit.cc). */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Coded, damaged, readPart } from './checked-bytes.ts';
import { logRecords } from './log.ts';

export interface Version {
  /** Paths. */
  readonly tables: readonly string[];
  /** Paths, oldest first. */
  readonly logs: readonly string[];
}

const TAG = { comparator: 1, log: 2, next: 3, last: 4, pointer: 5, deleted: 6, added: 7, previousLog: 9 };
/** The largest manifest that is read; LevelDB compacts manifests. */
const MAX_MANIFEST = 256 * 2 ** 20;

const whole = (most: number, file: string) => (size: number) => {
  if (size > most) throw damaged(file, `it has ${size} bytes, at most ${most} are read`);
  return { offset: 0, length: size };
};

/** @throws DataError if a file is missing or damaged */
export function readVersion(folder: string): Version {
  const current = join(folder, 'CURRENT');
  const name = readPart(current, whole(1024, current)).toString('latin1');
  if (!/^MANIFEST-\d+\n$/.test(name)) throw damaged(current, 'it does not name a manifest (MANIFEST-000001)');
  const manifest = join(folder, name.trimEnd());
  const tables = new Set<number>();
  let [log, previousLog] = [0, 0];
  let isWhole = false;
  for (const record of logRecords(readPart(manifest, whole(MAX_MANIFEST, manifest)), manifest)) {
    const edit = new Coded(record, manifest);
    while (edit.left > 0) {
      const tag = edit.varint();
      if (tag === TAG.comparator) {
        const comparator = edit.text().toString('latin1');
        if (comparator !== 'leveldb.BytewiseComparator')
          throw damaged(manifest, `its keys are ordered by "${comparator}", which Caffe does not use`);
      } else if (tag === TAG.log) log = edit.varint();
      else if (tag === TAG.previousLog) previousLog = edit.varint();
      else if (tag === TAG.next || tag === TAG.last) {
        edit.varint();
        isWhole = true;
      } else if (tag === TAG.pointer) {
        edit.varint();
        edit.text();
      } else if (tag === TAG.deleted) {
        edit.varint();
        tables.delete(edit.varint());
      } else if (tag === TAG.added) {
        edit.varint();
        tables.add(edit.varint());
        edit.varint();
        edit.text();
        edit.text();
      } else throw damaged(manifest, `an entry has the unknown kind ${tag}`);
    }
  }
  if (!isWhole) throw damaged(manifest, 'it does not list its tables');
  return filesOf(folder, tables, (number) => number >= log || number === previousLog);
}

// Tables are .ldb, or .sst before LevelDB 1.14.
function filesOf(folder: string, numbers: ReadonlySet<number>, isLive: (log: number) => boolean): Version {
  const found = new Map<number, string>();
  const logs: [number, string][] = [];
  for (const name of readdirSync(folder)) {
    const [, digits, extension] = /^(\d{1,15})\.(ldb|sst|log)$/.exec(name) ?? [];
    if (digits === undefined) continue;
    if (extension !== 'log') found.set(Number(digits), join(folder, name));
    else if (isLive(Number(digits))) logs.push([Number(digits), join(folder, name)]);
  }
  const tables = [...numbers].map((number) => {
    const path = found.get(number);
    if (path === undefined)
      throw damaged(join(folder, `${String(number).padStart(6, '0')}.ldb`), 'the table is missing');
    return path;
  });
  return { tables, logs: logs.sort(([a], [b]) => a - b).map(([, path]) => path) };
}
