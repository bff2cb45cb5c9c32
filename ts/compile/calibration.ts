/**
 * The calibration that int8 needs: the magnitude of a net's values. `calibrate` makes it, and it is stored as a JSON file.
 */

import { ArgumentError } from '../base/errors.ts';
import { integer, type Kind, nullOr, number, oneOf, path, record, string } from '../base/kinds.ts';
import { fields, required, signature } from '../base/options.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { readJsonFile } from '../caffe/json.ts';
import type { Graph } from '../graph/graph.ts';
import type { NativeQuantization } from '../native/binding.ts';
import type { ParameterData } from '../operations/program.ts';
import { rangeName } from './calibrated-values.ts';
import type { Lowered } from './compile.ts';

const FORMAT = 'resnode-calibration/1';

/** The method of choosing the range of a value. */
export type CalibrationMethod = 'min-max' | 'percentile' | 'entropy';

export interface Calibration {
  readonly format: typeof FORMAT;
  /** The net's name. */
  readonly net: string;
  readonly method: CalibrationMethod;
  /** For the method `percentile`, else null. */
  readonly percentile: number | null;
  /** The number of images. */
  readonly images: number;
  /** The largest magnitude to represent, by `blob@layer`. Larger values are clipped to it. */
  readonly ranges: Readonly<Record<string, number>>;
}

const calibrationRows = {
  net: required(string, "The net's name."),
  method: required(oneOf('min-max', 'percentile', 'entropy'), 'The method that chose the ranges.'),
  percentile: required(
    nullOr(number({ from: 0, to: 100 })),
    'The percentile of the method percentile; null for other methods.',
  ),
  images: required(integer(0), 'The number of images that the calibration ran.'),
  ranges: required(record(number({ from: 0 })), 'The largest magnitude of each `blob@layer`.'),
};

/** The result of `calibrate` and the content of `saveCalibration`'s file. */
export const calibration: Kind<Calibration> = fields<Calibration>('a calibration, which `calibrate` makes', {
  format: required(oneOf(FORMAT), 'The format of the file.'),
  ...calibrationRows,
});

const CALIBRATION_OF = signature('calibrationOf', {
  content: required(
    fields<Omit<Calibration, 'format'>>('what calibrate found', calibrationRows),
    'The ranges and how they were made.',
  ),
});

/** A calibration from measured ranges by `blob@layer`. */
export function calibrationOf(content: Omit<Calibration, 'format'>): Calibration {
  CALIBRATION_OF.check(content);
  return { format: FORMAT, ...content };
}

const SAVE_CALIBRATION = signature('saveCalibration', {
  path: required(path, 'The path of the file to write.'),
  calibration: required(calibration, 'The result of calibrate.'),
});

/**
 * Writes a calibration. The file is complete or unchanged.
 * @throws ResnodeError `file/write`
 */
export function saveCalibration(path: string, content: Calibration): void {
  SAVE_CALIBRATION.check(path, content);
  writeFileAtomically(path, [`${JSON.stringify(content, null, 2)}\n`]);
}

const READ_CALIBRATION = signature('readCalibration', {
  path: required(path, 'The path of a file that saveCalibration wrote.'),
});

/**
 * Reads a file of `saveCalibration`.
 * @throws ArgumentError naming the file and the error
 * @example const { ranges } = readCalibration('calibration.json');
 */
export function readCalibration(path: string): Calibration {
  READ_CALIBRATION.check(path);
  const misfit = (found: string) =>
    new ArgumentError('calibration', 'a file that `resnode quantize` wrote', path, found);
  const json = readJsonFile(path, 'calibration', misfit) as Partial<Calibration> | null;
  if (json?.format !== FORMAT || typeof json.ranges !== 'object' || json.ranges === null)
    throw misfit(`its format is ${JSON.stringify(json?.format) ?? 'none'}`);
  for (const [name, range] of Object.entries(json.ranges))
    if (!(Number.isFinite(range) && range >= 0)) throw misfit(`its range of ${name} is ${range}`);
  return json as Calibration;
}

/**
 * The ranges of a program's tensors, and of its weights. Those of weights are computed from the weights, one per output
 * channel.
 * @param ranges From `rangesOf`.
 * @param data Null: ranges of 1.
 * @internal
 */
export function quantizationOf(
  { graph, program }: Pick<Lowered, 'graph' | 'program'>,
  ranges: ReadonlyMap<string, number>,
  data: readonly (ParameterData | null)[] | null,
): NativeQuantization {
  const biases = new Map(
    program.operations.flatMap((each) => (each.kind === 'convolution' ? [[each.weights, each.bias]] : [])),
  );
  const parameters = program.parameters.map(({ shape }, i) => {
    const bias = biases.get(i);
    if (bias === undefined) return null;
    if (data === null) return new Float32Array(shape[0]!).fill(1);
    const ranges = channelRanges(data[i]!, shape[0]!);
    // NaN and infinities give a range of one of them here, which leaves the layer in float32.
    const most = bias === null ? 0 : channelRanges(data[bias]!, 1)[0]!;
    return Number.isFinite(most) ? ranges : ranges.fill(Number.NaN);
  });
  return { tensors: tensorRanges(graph, ranges), parameters };
}

/**
 * The same for a graph of other shapes, which may have other values: SAME pads need crops at some sizes.
 * @internal
 */
export const quantizationFor = (
  graph: Graph,
  ranges: ReadonlyMap<string, number>,
  { parameters }: NativeQuantization,
): NativeQuantization => ({ tensors: tensorRanges(graph, ranges), parameters });

function tensorRanges(graph: Graph, ranges: ReadonlyMap<string, number>): Float32Array {
  const tensors = Float32Array.from(graph.values, (value) => ranges.get(rangeName(value)) ?? 0);
  // Pooling does not enlarge values. A pass's result from a part of a value has the range of that value.
  for (const { operation, inputs, outputs } of graph.nodes)
    if (operation.kind === 'pooling') tensors[outputs[0]!] ||= tensors[inputs[0]!]!;
  return tensors;
}

/** The largest magnitude for each index of axis 0. */
function channelRanges({ bytes, dtype, channelScale }: ParameterData, channels: number): Float32Array {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const values = dtype === 'float64' ? new Float64Array(buffer) : new Float32Array(buffer);
  const each = values.length / channels;
  return Float32Array.from({ length: channels }, (_, channel) => {
    let most = 0;
    for (let i = channel * each; i < (channel + 1) * each; i++) most = Math.max(most, Math.abs(values[i]!));
    return most * Math.abs(channelScale?.[channel] ?? 1);
  });
}
