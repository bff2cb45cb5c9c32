/** A thread that reads, decodes and transforms data for one data layer. */

import { parentPort, workerData } from 'node:worker_threads';
import type { ErrorCode } from '../base/error-codes.ts';
import { DataError } from '../base/errors.ts';
import { mix, seededRandom } from '../base/random.ts';
import { elementCount } from '../base/shape.ts';
import { forwardWarnings, type Warning, type WarningOptions } from '../base/warn.ts';
import { fill } from '../caffe/fillers.ts';
import { annotatedReader } from './annotated-reader.ts';
import { hdf5Reader } from './hdf5-reader.ts';
import { databaseReader, listReader } from './image-reader.ts';
import { type Description, type Reader, type ReaderSpec, type Sample, wholeTops } from './reader.ts';
import { segmentationReader } from './segmentation-reader.ts';
import { type Batch, buffersOf } from './source.ts';
import { windowReader } from './window-reader.ts';

/** To a worker: a job, or null to end. */
export type Job =
  | { readonly describe: Sample }
  | {
      readonly samples: readonly Sample[];
      readonly shapes: Description['shapes'];
      /** The transferred memory of an earlier batch; null if there is none. */
      readonly spare: Batch | null;
    };

/** From a worker, one per job: the batch, or the arguments of a DataError. */
export type Answer =
  | { readonly result: unknown }
  | { readonly code: ErrorCode; readonly file: string | undefined; readonly text: string };

/** From a worker, at any time: the arguments of `warn`. */
export interface Warned {
  readonly warning: Warning;
  readonly options: WarningOptions;
}

function openReader(spec: ReaderSpec): Reader | Promise<Reader> {
  switch (spec.kind) {
    case 'lmdb':
    case 'leveldb':
      return databaseReader(spec);
    case 'annotated':
      return annotatedReader(spec);
    case 'images':
      return listReader(spec);
    case 'segmentation':
      return segmentationReader(spec);
    case 'hdf5':
      return hdf5Reader(spec);
    case 'windows':
      return windowReader(spec);
    case 'dummy':
      return dummyReader(spec);
  }
}

function newBatch(count: number, shapes: Description['shapes']): Batch {
  return Object.fromEntries(
    Object.entries(shapes).map(([top, shape]) => [
      top,
      new Float32Array((whole.includes(top) ? 1 : count) * elementCount(shape)),
    ]),
  );
}

const port = parentPort!;
const whole = wholeTops(workerData as ReaderSpec);
let reader: Reader | null = null;
let stopped = false;
let working: Promise<void> = Promise.resolve();

async function answer(job: Job): Promise<void> {
  try {
    reader ??= await openReader(workerData as ReaderSpec);
    if ('describe' in job) port.postMessage({ result: await reader.describe(job.describe) } satisfies Answer);
    else {
      const batch = job.spare ?? newBatch(job.samples.length, job.shapes);
      await reader.read(job.samples, job.shapes, batch, () => stopped);
      port.postMessage({ result: batch } satisfies Answer, buffersOf(batch));
    }
  } catch (error) {
    const { code, file } =
      error instanceof DataError ? error : { code: 'data/worker' as const, file: undefined };
    const message = error instanceof DataError ? error.message : String((error as Error).stack);
    const text = file === undefined ? message : message.slice(file.length + 2);
    port.postMessage({ code, file, text } satisfies Answer);
  }
}

forwardWarnings((warning, options) => port.postMessage({ warning, options } satisfies Warned));
port.on('message', (job: Job | null) => {
  if (job !== null) {
    working = working.then(() => answer(job));
    return;
  }
  stopped = true;
  working.then(async () => {
    await reader?.close();
    port.close();
  });
});

/** DummyData (dummy_data_layer.cpp): fillers draw new values for each batch, so only constants stay the same. */
function dummyReader({ tops }: Extract<ReaderSpec, { kind: 'dummy' }>): Reader {
  return {
    describe: async () => ({
      shapes: Object.fromEntries(tops.map(({ name, shape }) => [name, shape])),
    }),
    // A whole batch is one sample, because fillers use the whole shape.
    read: async ([sample], _shapes, output) => {
      for (const [i, { name, shape, filler }] of tops.entries())
        output[name]!.set(fill(filler, shape, seededRandom(mix(sample!.seed, i))));
    },
    close: () => {},
  };
}
