/**
 * The lower bound of a training step, from the traffic of its own schedule. For each operation of the program that the
 * CUDA device runs, it takes the longer of two times: its arithmetic at the measured peak, and the bytes that its
 * kernels read and write at the measured bandwidth. Each pass over a map counts; caches between operations are ignored.
 */

import { elementCount } from '../../ts/base/shape.ts';
import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import { lowerTraining } from '../../ts/gradient/lower-training.ts';
import type { Program, ProgramOperation } from '../../ts/operations/program.ts';
import { asTraining } from '../../ts/tools/bench/nets.ts';
import type { Ceilings, Net, Precision } from './case.ts';

/** The work of one kernel, or of a few that belong together. */
interface Work {
  /** For example `BatchNorm statistics`. */
  readonly what: string;
  readonly macs: number;
  readonly bytes: number;
}

/** The lower bound of a step, in total and by kind of work, in milliseconds, and the bytes that it moves. */
export interface StepLimit {
  readonly milliseconds: number;
  readonly bytes: number;
  readonly byWork: Readonly<Record<string, number>>;
}

/**
 * The step of `ResnodeTraining`: forward, loss, backward, SGD with momentum. `fusesSums`: assume that cuDNN computes
 * the sums that BatchNorm reads together with each convolution's result, and those that BatchNorm's gradient reads
 * together with the diff behind its ReLU. The tuner of a machine does this where it is faster.
 */
export function stepLimit(
  { net }: Net,
  batch: number,
  precision: Precision,
  ceilings: Ceilings,
  fusesSums = false,
): StepLimit {
  const { net: model } = asTraining({ name: net.name!, net, input: [3, 224, 224] });
  const { program } = lowerTraining(model, { batch, precision, update: SGD_UPDATE, sparesTraffic: true });
  const peak = ceilings[`${precision} TFLOP/s`]! * 1e12;
  const bandwidth = ceilings['bandwidth GB/s']! * 1e9;
  const byWork: Record<string, number> = {};
  let bytes = 0;
  for (const work of workOf(program, precision, fusesSums)) {
    const seconds = Math.max((2 * work.macs) / peak, work.bytes / bandwidth);
    byWork[work.what] = (byWork[work.what] ?? 0) + 1000 * seconds;
    bytes += work.bytes;
  }
  return { milliseconds: Object.values(byWork).reduce((sum, each) => sum + each, 0), bytes, byWork };
}

function workOf(program: Program, precision: Precision, fusesSums: boolean): Work[] {
  const isNarrow = precision === 'float16' || precision === 'bfloat16';
  const width = isNarrow ? 2 : 4;
  const count = (id: number) => elementCount(program.tensors[id]!.shape);
  // The signs of a map take one bit per value, and the position of a window's maximum one byte.
  const madeBeside = (of: ProgramOperation['kind'], first: number) =>
    new Set(program.operations.flatMap(({ kind, outputs }) => (kind === of ? outputs.slice(first) : [])));
  const signs = madeBeside('batchNorm', 3);
  const places = madeBeside('pooling', 1);
  const map = (id: number) => (signs.has(id) ? 1 / 8 : places.has(id) ? 1 : width) * count(id);
  const parameter = (id: number) => elementCount(program.parameters[id]!.shape);
  const firstGradient = program.operations.findIndex(({ kind }) => kind === 'gradient');

  // The arithmetic of a convolution or an inner product.
  const macsOf = (operation: ProgramOperation & { readonly weights: number }) => {
    const [outputs] = program.parameters[operation.weights]!.shape;
    return (count(operation.outputs[0]!) / outputs!) * parameter(operation.weights);
  };

  // Whether a BatchNorm's result is read only as another one's residual.
  const isAResidual = ({ outputs }: ProgramOperation) => {
    const readers = program.operations.filter(({ inputs }) => inputs.includes(outputs[0]!));
    return readers.length === 1 && readers[0]!.kind === 'batchNorm' && readers[0]!.inputs[1] === outputs[0];
  };

  // Whether a convolution without epilogue makes the tensor, so that cuDNN can compute its sums
  // (cuda/operations/convolution/step.cc).
  const isMadeBare = (id: number) => {
    const maker = program.operations.find(({ outputs }) => outputs[0] === id);
    return maker?.kind === 'convolution' && maker.bias === null && maker.relu === null;
  };

  // The BatchNorm whose gradient is the only reader of a convolution's data gradient, and whose ReLU and sums cuDNN can
  // compute (readerOfDiff in cuda/operations/convolution/step.cc).
  const normBehind = (diff: number) => {
    const readers = program.operations.filter(({ inputs }) => inputs.includes(diff));
    const [reader] = readers;
    if (!fusesSums || !isNarrow || readers.length !== 1 || reader?.kind !== 'gradient') return null;
    const norm = program.operations[reader.of]!;
    const isBehind =
      norm.kind === 'batchNorm' &&
      norm.statistics === 'batch' &&
      norm.relu?.negativeSlope === 0 &&
      norm.inputs.length === 1 &&
      reader.inputs.length === 1 + 2 * norm.outputs.length;
    return isBehind && count(diff) === count(norm.inputs[0]!) ? norm : null;
  };
  const isMadeByConvolution = (diff: number) =>
    program.operations.some(
      (each) =>
        each.kind === 'gradient' &&
        each.outputs[0] === diff &&
        program.operations[each.of]!.kind === 'convolution',
    );

  const forward = (operation: ProgramOperation, at: number): Work[] => {
    const ends = [
      ...operation.inputs,
      ...operation.outputs.filter((id, i) => i === 0 || signs.has(id) || places.has(id)),
    ];
    const moved = ends.reduce((sum, id) => sum + map(id), 0);
    switch (operation.kind) {
      case 'convolution':
      case 'innerProduct':
        return [
          {
            what: `${operation.kind === 'convolution' ? 'convolutions' : 'inner product'} forward`,
            macs: macsOf(operation),
            bytes: moved + width * parameter(operation.weights),
          },
        ];
      case 'batchNorm': {
        // launchBatchStatistics reads x, and launchAffine reads it again: the one that adds the result as a residual
        // (cuda/layout.h), or its own.
        const isFused = fusesSums && isNarrow && isMadeBare(operation.inputs[0]!);
        const statistics = isFused
          ? []
          : [{ what: 'BatchNorm statistics', macs: 0, bytes: map(operation.inputs[0]!) }];
        if (isAResidual(operation)) return statistics;
        const what = operation.inputs.length > 1 ? 'BatchNorm apply + add + ReLU' : 'BatchNorm apply';
        return [...statistics, { what, macs: 0, bytes: moved }];
      }
      case 'eltwise':
        return [
          {
            what: firstGradient >= 0 && at > firstGradient ? 'diff sums at splits' : 'add + ReLU',
            macs: 0,
            bytes: moved,
          },
        ];
      case 'sumBehindRelu': // its inputs from BatchNorms, and the sums that it makes for them, count as theirs
        return [
          {
            what: 'diff sums and masks',
            macs: 0,
            bytes: moved - operation.eps.length * map(operation.outputs[0]!),
          },
          ...operation.eps.map(() => ({
            what: 'BatchNorm backward sums',
            macs: 0,
            bytes: map(operation.outputs[0]!),
          })),
        ];
      case 'update': {
        // Diffs are read twice: to check that they are finite, and to apply them. Weight and history are read and
        // written, and then the weight is packed again for the kernels.
        const learned = operation.parameters.reduce((sum, each) => sum + parameter(each.parameter), 0);
        return [{ what: 'update', macs: 0, bytes: learned * (8 + 8 + 8 + 4 + width) }];
      }
      case 'reshape':
        return [];
      default:
        return [{ what: `${operation.kind} forward`, macs: 0, bytes: moved }];
    }
  };

  const backward = (gradient: ProgramOperation & { readonly kind: 'gradient' }): Work[] => {
    const of = program.operations[gradient.of]!;
    const [x] = of.inputs as [number];
    const [y] = of.outputs as [number];
    const dx = gradient.outputs.slice(0, of.inputs.length).filter((id) => id >= 0);
    switch (of.kind) {
      case 'convolution':
      case 'innerProduct': {
        const name = of.kind === 'convolution' ? 'convolutions' : 'inner product';
        const weights = parameter(of.weights);
        const macs = macsOf(of);
        return [
          ...dx.map((id) => ({
            what: `${name}, data gradient`,
            macs,
            bytes: map(y) + map(id) * (normBehind(id) === null ? 1 : 2) + width * weights,
          })),
          { what: `${name}, weight gradient`, macs, bytes: map(y) + map(x) + 4 * weights },
        ];
      }
      case 'batchNorm': {
        // In 16 bits the ReLU's sign is recomputed from x (batch-norm-gradient.cu); otherwise y is read, which is one
        // more map. With a residual, the derivative is already applied to the diff.
        const seesY = of.relu !== null && of.inputs.length === 1 && !isNarrow;
        const reads = map(x) + map(y) + (seesY ? map(y) : 0);
        const diff = gradient.inputs[of.inputs.length + of.outputs.length]!;
        const areMade =
          gradient.inputs.length > of.inputs.length + 2 * of.outputs.length ||
          (isMadeByConvolution(diff) && normBehind(diff) !== null);
        return [
          ...(areMade ? [] : [{ what: 'BatchNorm backward sums', macs: 0, bytes: reads }]),
          ...dx.map((id) => ({ what: 'BatchNorm backward dx', macs: 0, bytes: reads + map(id) })),
        ];
      }
      case 'eltwise': // dy and, with a ReLU, y, for every diff
        return dx.map((id) => ({
          what: 'mask of add + ReLU',
          macs: 0,
          bytes: map(y) * (of.relu === null ? 1 : 2) + map(id),
        }));
      case 'pooling': // the position of each maximum, which the forward pass stored
        return dx.map((id) => ({
          what: 'pooling backward',
          macs: 0,
          bytes: of.outputs.slice(1).reduce((sum, each) => sum + map(each), map(y) + map(id)),
        }));
      case 'reshape':
        return [];
      default:
        return dx.map((id) => ({ what: `${of.kind} backward`, macs: 0, bytes: 2 * map(y) + map(id) }));
    }
  };

  // The images arrive as float32 and become maps, whose three channels are padded to four (types.h).
  const images = program.inputs.filter((id) => program.tensors[id]!.shape.length === 4);
  const conversion = images.map((id) => ({
    what: 'image to map',
    macs: 0,
    bytes: 4 * count(id) + (map(id) * 4) / program.tensors[id]!.shape[1]!,
  }));
  return [
    ...conversion,
    ...program.operations.flatMap((operation, at) =>
      operation.kind === 'gradient' ? backward(operation) : forward(operation, at),
    ),
  ];
}
