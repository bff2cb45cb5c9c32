/** What the emulated CUDA runtime was told to do (RESNODE_EMULATED_TRACE in test/cuda/emulator/runtime/state.h). */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Everything that is put on streams during `work`, one word each, in order. */
export async function traced(work: () => Promise<unknown>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-trace-'));
  const file = join(folder, 'trace');
  process.env.RESNODE_EMULATED_TRACE = file;
  try {
    await work();
    return readFileSync(file, 'utf8').trim().split('\n');
  } finally {
    delete process.env.RESNODE_EMULATED_TRACE;
    rmSync(folder, { recursive: true });
  }
}

/** The nodes of the one graph that is captured during `work`. */
export async function capturedNodes(work: () => Promise<unknown>): Promise<string[]> {
  const lines = await traced(work);
  return lines.slice(lines.indexOf('begin capture') + 1, lines.indexOf('end capture'));
}
