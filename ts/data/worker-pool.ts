/** The worker threads of one data layer; each does one job at a time. */
import type { Worker } from 'node:worker_threads';
import { DataError } from '../base/errors.ts';
import { startThread } from '../base/own-package.ts';
import { warn } from '../base/warn.ts';
import type { Description, ReaderSpec, Sample } from './reader.ts';
import { type Batch, buffersOf } from './source.ts';
import type { Answer, Job, Warned } from './worker.ts';

interface Waiting {
  readonly job: Job;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerPool {
  readonly #spec: ReaderSpec;
  readonly #layer: string;
  readonly #workers = new Map<Worker, Waiting | null>();
  readonly #queue: Waiting[] = [];
  #size = 1;
  #holders = 0;
  #closing: Promise<void> | null = null;

  /** @param layer The name of the layer in errors. */
  constructor(spec: ReaderSpec, layer: string) {
    this.#spec = spec;
    this.#layer = layer;
  }

  /** The largest number of threads; it starts with one. */
  set size(size: number) {
    this.#size = size;
  }

  describe(first: Sample): Promise<Description> {
    return this.#run({ describe: first }) as Promise<Description>;
  }

  /** @param spare A batch of the same sizes whose memory is filled again; null for new memory. */
  read(samples: readonly Sample[], shapes: Description['shapes'], spare: Batch | null): Promise<Batch> {
    return this.#run({ samples, shapes, spare }) as Promise<Batch>;
  }

  /** Keeps the process alive while work is awaited; work done in advance does not. */
  async hold<T>(work: Promise<T>): Promise<T> {
    if (this.#holders++ === 0) for (const worker of this.#workers.keys()) worker.ref();
    try {
      return await work;
    } finally {
      // Also waits for the threads to end.
      if (--this.#holders === 0 && this.#closing === null)
        for (const worker of this.#workers.keys()) worker.unref();
    }
  }

  /** Refuses waiting jobs and ends the threads, each after its current image. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const error = new DataError('data/disposed', { layer: this.#layer }, 'the data source is disposed');
    for (const { reject } of this.#queue.splice(0)) reject(error);
    await Promise.all(
      [...this.#workers].map(([worker, waiting]) => {
        waiting?.reject(error);
        worker.ref();
        worker.postMessage(null);
        return new Promise((resolve) => worker.once('exit', resolve));
      }),
    );
  }

  #run(job: Job): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closing !== null)
        return reject(new DataError('data/disposed', { layer: this.#layer }, 'the data source is disposed'));
      this.#queue.push({ job, resolve, reject });
      const idle = [...this.#workers].find(([, waiting]) => waiting === null)?.[0];
      if (idle !== undefined) this.#give(idle);
      else if (this.#workers.size < this.#size) this.#give(this.#start());
    });
  }

  #give(worker: Worker): void {
    const next = this.#queue.shift() ?? null;
    this.#workers.set(worker, next);
    if (next === null) return;
    const { job } = next;
    worker.postMessage(job, 'spare' in job && job.spare !== null ? buffersOf(job.spare) : []);
  }

  #start(): Worker {
    const worker = startThread('data/worker', this.#spec);
    if (this.#holders === 0) worker.unref();
    let failure: Error | undefined;
    worker.on('message', (answer: Answer | Warned) => {
      if ('warning' in answer) return warn(answer.warning.code, answer.warning.message, answer.options);
      const waiting = this.#workers.get(worker);
      if ('result' in answer) waiting?.resolve(answer.result);
      else {
        const { code, file, text } = answer;
        const at = { layer: this.#layer, ...(file === undefined ? {} : { file }) };
        waiting?.reject(new DataError(code, at, text));
      }
      if (this.#closing === null) this.#give(worker);
    });
    worker.on('error', (error) => {
      failure = error;
    });
    worker.on('exit', () => {
      const waiting = this.#workers.get(worker);
      this.#workers.delete(worker);
      const reason = failure?.message ?? 'it was terminated';
      waiting?.reject(
        new DataError('data/worker', { layer: this.#layer }, `a worker thread ended (${reason})`, {
          cause: failure,
        }),
      );
      if (this.#queue.length > 0) this.#give(this.#start());
    });
    return worker;
  }
}
