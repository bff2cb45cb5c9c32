/** Reads the files that the options of `load` and `train` name, into a net that a Compiler loads on the device. */
import { ArgumentError, DeviceError } from '../base/errors.ts';
import type { Warning } from '../base/warn.ts';
import { yielding } from '../base/yielding.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { namesTwiceWarnings, partialWarnings } from '../caffe/weights-warnings.ts';
import { rangesOf } from '../compile/calibrated-values.ts';
import { quantizationFor, quantizationOf, readCalibration } from '../compile/calibration.ts';
import { type Lowered, lowerNet, sourceBytes } from '../compile/compile.ts';
import { readInputShapes } from '../data/read-shapes.ts';
import type { LoweredTraining } from '../gradient/lower-training.ts';
import { hdf5Blobs, hdf5Outputs } from '../layers/sinks.ts';
import { emptyStatistics } from './batch-norm-modes.ts';
import type { ParameterValues, ReadNet } from './compiler.ts';
import { type LoadOptions, readModel } from './load-options.ts';
import { type CompleteTrainOptions, withAverages, withHistory } from './train-options.ts';

/** The properties of the device that a net is read for. */
interface Place {
  readonly kind: string;
  readonly name: string;
}

/**
 * Reads a net for inference.
 * @throws PrototxtError, ArgumentError, GraphError
 */
export async function readForRuns(options: LoadOptions, device: Place): Promise<ReadNet<Lowered>> {
  const net = await readInTurns(() => readModel(options));
  const inputShapes = await readInputShapes(net, options.inputShapes);
  const { weights, strict, partialWeights, reshapeWeights, seed } = options;
  const { deterministic, tune, quantization } = options;
  // The calibration is read and checked once, whatever shapes follow.
  let ranges: ReadonlyMap<string, number> | undefined;
  const quantized = (lowered: Lowered, values: ParameterValues | null) => {
    ranges ??= calibratedRanges(lowered, options, device);
    return { precision: 'int8', quantization: quantizationOf(lowered, ranges, values) } as const;
  };
  return {
    net,
    weights,
    filling: { strict, partialWeights, reshapeWeights, seed, use: 'run' },
    // Given shapes count unchanged: a batch replaces their first dimension only if it is given with them.
    lower: ({ selected, ...change } = {}) => {
      const batch = change.inputShapes === undefined ? options.batch : undefined;
      return lowerNet(net, { ...options, inputShapes, batch, ...change }, selected);
    },
    planning: (lowered, values) =>
      options.precision === 'int8'
        ? { deterministic, tune, ...quantized(lowered, values) }
        : { deterministic, tune, precision: options.precision, quantization },
    replanning: (lowered, planned) =>
      ranges === undefined || planned.quantization === null
        ? planned
        : { ...planned, quantization: quantizationFor(lowered.graph, ranges, planned.quantization) },
    warnings: (lowered, given, report) => [
      ...warningsOf(lowered),
      ...(options.outputs === undefined ? unwrittenWarnings(net, lowered) : []),
      ...partialWarnings(report, given),
      // A trainer's own weights, which have no file, may not have seen a batch yet, so its test net does not warn.
      ...(given !== null && given.file !== ''
        ? emptyStatistics(net, given, { phase: options.phase ?? net.state?.phase ?? 'TEST' })
        : []),
    ],
    complete: (_, values) => values,
    heldBytes: sourceBytes,
  };
}

/**
 * Reads a net for training.
 * @param place.kind The kind of the device.
 * @param place.rank The rank among the processes that train the same net; undefined if this process is alone.
 * @throws PrototxtError, ArgumentError, GraphError
 */
export async function readForTraining(
  options: CompleteTrainOptions,
  { kind, rank }: { readonly kind: string; readonly rank: number | undefined },
): Promise<ReadNet<LoweredTraining>> {
  const net = await readInTurns(() => readModel(options, 'TRAIN'));
  const inputShapes = await readInputShapes(net, options.inputShapes);
  // Imported only for training, because most processes only run nets.
  const { lowerTraining } = await import('../gradient/lower-training.ts');
  const { weights, partialWeights, reshapeWeights, seed, precision, history, averages } = options;
  const phase = net.state?.phase ?? 'TEST';
  const sparesTraffic = kind === 'cuda';
  return {
    net,
    weights,
    filling: { partialWeights, reshapeWeights, seed, use: 'train' },
    lower: ({ selected, ...change } = {}) =>
      lowerTraining(net, { ...options, phase, inputShapes, rank, sparesTraffic, ...change }, selected),
    planning: () => ({ precision }),
    replanning: (_, options) => options,
    warnings: (lowered, given, report) => {
      const isNone = report.every(({ status }) => status !== 'matched' && status !== 'reshaped');
      // Layers that start from their fillers are usual in fine-tuning, and the solver reports them.
      return [
        ...warningsOf(lowered),
        ...(options.update === null ? [] : unwrittenWarnings(net, lowered)),
        ...(isNone ? partialWarnings(report, given) : []),
      ];
    },
    complete: (lowered, values) => withAverages(withHistory(values, lowered, history), lowered, averages),
    heldBytes: () => 0,
  };
}

/** Yields to the event loop after reading a large prototxt. */
async function readInTurns<T>(read: () => T): Promise<T> {
  const yieldIfDue = yielding();
  const result = read();
  await yieldIfDue();
  return result;
}

/** Warnings about probable mistakes in a net. */
const warningsOf = ({ written }: Lowered): Warning[] => namesTwiceWarnings(written.parameters);

/** Warns of HDF5Output layers whose blobs nothing reads from this net. */
const unwrittenWarnings = (net: NetParameter, { names }: Lowered): Warning[] =>
  hdf5Outputs(net)
    .filter((output) => !hdf5Blobs([output]).every((blob) => names.includes(blob)))
    .map(({ layer, file, data, label }) => ({
      code: 'graph/not-written',
      message: `layer "${layer}" (HDF5Output) does not write ${file} here; only resnode train, test and run do. In code, request its blobs (outputs: ${JSON.stringify([data, label])})`,
    }));

/**
 * The ranges of the net's values from the calibration.
 * @throws DeviceError, ArgumentError
 */
function calibratedRanges(
  { written }: Lowered,
  { calibration }: LoadOptions,
  { kind, name }: Place,
): ReadonlyMap<string, number> {
  if (kind !== 'cpu' && kind !== 'cuda')
    throw new DeviceError(
      'device/unsupported',
      name,
      `The ${name} device has no int8; use the cpu or a cuda device`,
    );
  if (calibration === undefined)
    throw new ArgumentError(
      'calibration',
      'a file that `resnode quantize` wrote, which int8 needs',
      calibration,
    );
  return rangesOf(written, typeof calibration === 'string' ? readCalibration(calibration) : calibration);
}
