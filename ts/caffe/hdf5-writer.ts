/** Writes HDF5 files in a separate thread, so that the event loop stays free. */

import { once } from 'node:events';
import { open, rename } from 'node:fs/promises';
import type { Worker } from 'node:worker_threads';
import { WeightsError } from '../base/errors.ts';
import { writeFailure } from '../base/files.ts';
import { needPackage } from '../base/optional-package.ts';
import { startThread } from '../base/own-package.ts';
import { elementCount } from '../base/shape.ts';
import { yielding } from '../base/yielding.ts';
import { removeQuietly, temporaryFor } from './atomic-file.ts';
import { type Blob, toFloat32 } from './blob.ts';
import type { Hdf5Answer, Hdf5Item, Hdf5Job } from './hdf5-thread.ts';

/** A group or dataset by its path in the file. A blob becomes float32. */
export type Hdf5Entry = Hdf5Item | { readonly dataset: string; readonly blob: Blob };

/**
 * @throws ResnodeError `package/missing` if the package that writes HDF5 is not installed; call it before long work that
 * ends in such a file
 */
export const needHdf5Writer = (): void => needPackage('h5wasm/node', 'Writing HDF5 files');

/**
 * Writes an HDF5 file. It is complete or unchanged.
 * @throws ResnodeError `file/write`, `package/missing`; WeightsError `weights/write`
 */
export async function writeHdf5(path: string, entries: Iterable<Hdf5Entry>): Promise<void> {
  const writer = await Hdf5Writer.create(path);
  for (const entry of entries) await writer.write(entry);
  await writer.finish();
}

/** An HDF5 file during writing. It has a temporary name until `finish`; if writing fails, it is removed. */
export class Hdf5Writer {
  readonly #path: string;
  readonly #temporary: string;
  readonly #thread: Worker;
  #isOver = false;

  private constructor(path: string) {
    this.#path = path;
    this.#temporary = temporaryFor(path);
    this.#thread = takeThread();
  }

  /** @throws ResnodeError `file/write`, `package/missing`; WeightsError `weights/write` */
  static async create(path: string): Promise<Hdf5Writer> {
    needHdf5Writer();
    const writer = new Hdf5Writer(path);
    await writer.#trying(async () => {
      // Created here for the file system's own error, because the library has one message for all of them.
      await (await open(writer.#temporary, 'wx')).close();
      await ask(writer.#thread, { create: writer.#temporary });
    });
    return writer;
  }

  /**
   * The next entry, or rows for a dataset that grows.
   * @throws as `create`
   */
  async write(entry: Hdf5Entry): Promise<void> {
    await this.#trying(async () => ask(this.#thread, 'blob' in entry ? await itemOf(entry) : entry));
  }

  /**
   * Puts the file in its place.
   * @throws as `create`
   */
  async finish(): Promise<void> {
    await this.#trying(async () => {
      await ask(this.#thread, { finish: this.#temporary });
      await rename(this.#temporary, this.#path);
      leaveThread(this.#thread);
      this.#isOver = true;
    });
  }

  /** Ends without a file. It may be called after the end too. */
  async abandon(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#thread.terminate();
    removeQuietly(this.#temporary);
  }

  async #trying(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.abandon();
      const failure = writeFailure(this.#path, error);
      if (failure !== error) throw failure;
      const reason = `cannot be written (${(error as Error).message})`;
      throw new WeightsError('weights/write', { file: this.#path }, reason, { cause: error });
    }
  }
}

/** An idle thread is kept for the next file: a snapshot has two, and starting a thread takes longer than writing. */
const KEPT_MILLISECONDS = 10_000;
let kept: { readonly thread: Worker; readonly end: NodeJS.Timeout } | null = null;

function takeThread(): Worker {
  const thread = kept?.thread ?? startThread('caffe/hdf5-thread', null);
  if (kept === null) {
    thread.on('error', () => {}); // the waiting caller receives the error
    thread.on('exit', () => forget(thread));
  }
  forget(thread);
  thread.ref();
  return thread;
}

function leaveThread(thread: Worker): void {
  if (kept !== null) return void thread.terminate();
  thread.unref();
  // Removed at once: ending takes time, and the next file must not use a thread that ends.
  const end = setTimeout(() => {
    forget(thread);
    void thread.terminate();
  }, KEPT_MILLISECONDS);
  kept = { thread, end: end.unref() };
}

function forget(thread: Worker): void {
  if (kept?.thread !== thread) return;
  clearTimeout(kept.end);
  kept = null;
}

async function ask(thread: Worker, job: Hdf5Job): Promise<void> {
  const answered = new AbortController();
  const ended = once(thread, 'exit', answered).then(([code]) => {
    throw new Error(`the thread that writes it ended with code ${code}`);
  });
  try {
    const answer = once(thread, 'message', answered);
    const isLarge = 'data' in job && typeof job.data !== 'string';
    thread.postMessage(job, isLarge ? [job.data.buffer as ArrayBuffer] : []);
    const [{ failure }] = (await Promise.race([answer, ended])) as [Hdf5Answer];
    if (failure !== null) throw new Error(failure);
  } finally {
    ended.catch(() => {}); // aborted now, or reported already
    answered.abort();
  }
}

const PIECE = 2 ** 20;

/** Copied, because the blob still belongs to its owner, and in pieces, because it may be large. */
async function itemOf({ dataset, blob }: { dataset: string; blob: Blob }): Promise<Hdf5Item> {
  const { shape, dtype, bytes } = blob;
  const size = dtype === 'float32' ? 4 : 8;
  const data = new Float32Array(bytes.length / size);
  const yieldIfDue = yielding();
  for (let at = 0; at < bytes.length; at += PIECE) {
    data.set(toFloat32({ dtype, bytes: bytes.subarray(at, at + PIECE) }), at / size);
    await yieldIfDue();
  }
  if (data.length !== elementCount(shape))
    throw new Error(`${dataset}: ${data.length} values do not fit the shape ${shape.join('×')}`);
  return { dataset, shape, dtype: '<f4', data };
}
