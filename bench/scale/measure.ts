/**
 * How long sums over the processes of mpirun take: `mpirun -n 2 node --import tsx bench/scale/measure.ts --out FILE`.
 * For each size, the median of several sums called from JavaScript, including its copies. The first process writes the
 * file.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { writeFileAtomically } from '../../ts/caffe/atomic-file.ts';
import { openCommunicator } from '../../ts/device/communicator.ts';

export const FORMAT = 'resnode-sums/1';

/** The content of the file. */
export interface MeasuredSums {
  readonly format: typeof FORMAT;
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly processes: number;
  readonly sums: readonly { readonly bytes: number; readonly milliseconds: readonly number[] }[];
}

/** Values per sum; the last size is that of ResNet-50's gradients. */
const SIZES = [1, 1 << 10, 1 << 14, 1 << 18, 1 << 22, 25_557_032];
const TIMES = 7;

const { out } = parseArgs({ options: { out: { type: 'string' } } }).values;
const communicator = await openCommunicator();
const sums: { bytes: number; milliseconds: number[] }[] = [];
for (const size of SIZES) {
  const values = new Float32Array(size).fill(1);
  const milliseconds: number[] = [];
  // The first sum allocates memory.
  for (let i = -1; i < TIMES; i++) {
    const begin = performance.now();
    await communicator.sum(values);
    if (i >= 0) milliseconds.push(performance.now() - begin);
  }
  sums.push({ bytes: 4 * size, milliseconds });
}
const report: MeasuredSums = {
  format: FORMAT,
  date: new Date().toISOString().slice(0, 10),
  processor: cpus()[0]!.model,
  cores: cpus().length,
  processes: communicator.size,
  sums,
};
if (communicator.rank === 0) {
  const text = `${JSON.stringify(report, null, 1)}\n`;
  if (out === undefined) process.stdout.write(text);
  else writeFileAtomically(out, [text]);
}
await communicator.finish();
