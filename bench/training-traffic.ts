/**
 * A model of the bytes that a training step of ResNet-50 moves on a GPU in 16 bits: `tsx bench/training-traffic.ts
 * [--batch 256] [--depth 50] [--bandwidth 4154]`. Every map is read and written once a pass by whoever reads and makes it, nothing stays in a
 * cache; `bandwidth` (GB/s of a copy) turns bytes into the least time. Nothing is measured.
 */
import { parseArgs } from 'node:util';
import { resnet } from '../ts/architectures/resnet.ts';
import { elementCount } from '../ts/base/shape.ts';
import { SGD_UPDATE, withLoss } from '../ts/device/plan-training.ts';
import { lowerTraining } from '../ts/gradient/lower-training.ts';
import type { Program, ProgramOperation } from '../ts/operations/program.ts';

const { values: flags } = parseArgs({
  options: {
    batch: { type: 'string', default: '256' },
    depth: { type: 'string', default: '50' },
    bandwidth: { type: 'string', default: '4154' },
  },
});
const [batch, depth, bandwidth] = [flags.batch, flags.depth, flags.bandwidth].map(Number) as [
  number,
  number,
  number,
];

const net = resnet({ depth: depth as 50 });
const { program } = lowerTraining(withLoss(net), {
  update: SGD_UPDATE,
  precision: 'float16',
  batch,
});

/** What a step moves: a name for its sort of work, and the bytes. */
type Moved = readonly [what: string, bytes: number];

function movedBy(operation: ProgramOperation, { tensors, parameters, operations }: Program): Moved[] {
  const bytes = (ids: readonly number[]) =>
    ids
      .filter((id) => id >= 0)
      .reduce((sum, id) => {
        const { shape } = tensors[id]!;
        // Maps are in 16 bits, with 8 channels at a time; what is no map is float32.
        const [n, c, h, w] = shape;
        return (
          sum + (shape.length === 4 ? 2 * n! * Math.ceil(c! / 8) * 8 * h! * w! : 4 * elementCount(shape))
        );
      }, 0);
  const all = bytes(operation.inputs) + bytes(operation.outputs);
  const [x] = operation.inputs;
  if (operation.kind === 'batchNorm')
    return [
      ['BatchNorm: statistics', bytes([x!])],
      [operation.inputs.length > 1 ? 'BatchNorm: applied, with a residual' : 'BatchNorm: applied', all],
    ];
  // The weight, its history and its diff: read; the first two and the 16-bit copy: written.
  if (operation.kind === 'update')
    return [
      [
        'update',
        parameters
          .filter(({ mutable }) => mutable)
          .reduce((sum, { shape }) => sum + 22 * elementCount(shape), 0) / 2,
      ],
    ];
  if (operation.kind !== 'gradient') return [[operation.kind, all]];
  const of = operations[operation.of]!;
  const dy = operation.inputs.slice(of.inputs.length + of.outputs.length);
  const [dx] = operation.outputs;
  if (of.kind === 'convolution' || of.kind === 'innerProduct')
    return [
      [`${of.kind}: data gradient`, dx! >= 0 ? bytes([...dy, dx!]) : 0],
      [`${of.kind}: weight gradient`, bytes([...dy, of.inputs[0]!])],
    ];
  if (of.kind === 'batchNorm')
    return [
      ['BatchNorm: sums of its gradient', bytes([of.inputs[0]!, ...dy])],
      ['BatchNorm: dx', bytes([of.inputs[0]!, ...dy, dx!])],
    ];
  return [[`${of.kind}: gradient`, all]];
}

const sums = new Map<string, number>();
for (const operation of program.operations)
  for (const [what, bytes] of movedBy(operation, program)) sums.set(what, (sums.get(what) ?? 0) + bytes);
const line = (what: string, bytes: number) =>
  console.log(
    `${what.padEnd(40)} ${(bytes / 1e9).toFixed(2).padStart(8)} GB ${(bytes / bandwidth / 1e6).toFixed(2).padStart(8)} ms`,
  );
console.log(`ResNet-${depth}, batch ${batch}, a step of training in 16 bits, at ${bandwidth} GB/s:`);
for (const [what, bytes] of [...sums].toSorted((a, b) => b[1] - a[1])) line(what, bytes);
line(
  'in all',
  [...sums.values()].reduce((a, b) => a + b),
);
