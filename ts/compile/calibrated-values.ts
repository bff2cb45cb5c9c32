/** The values of a net that a calibration covers, and the check that it belongs to this net. */
import { ArgumentError } from '../base/errors.ts';
import { warn } from '../base/warn.ts';
import type { Graph, Node, Value, ValueId } from '../graph/graph.ts';
import { passesApartFrom, runPasses } from '../passes/index.ts';

/** A value's name in a calibration. */
export const rangeName = ({ blob, layer }: Pick<Value, 'blob' | 'layer'>): string => `${blob}@${layer}`;

/** The fields that identify the net of a calibration. */
interface Ranges {
  readonly net: string;
  readonly ranges: Readonly<Record<string, number>>;
}

/** Below this, the scale of 8 bits, range / 255, or its reciprocal is not a normal float32. */
const LEAST_RANGE = 255 * 2 ** -126;
const LARGEST_RANGE = (2 - 2 ** -23) * 2 ** 127;

/**
 * The net as calibrations see it. Strides are not moved, because that makes values from parts of others, whose ranges apply.
 * @param written Without the passes.
 */
function asCalibrated(written: Graph): Graph {
  return runPasses(written, { only: passesApartFrom('move-strides') });
}

/**
 * The values that convolutions read and make, without the net's inputs, and without values that are cropped only at some
 * sizes.
 */
export function calibratedNames(written: Graph): string[] {
  const graph = asCalibrated(written);
  const isWhole = (id: ValueId) => graph.values[id]!.isPart !== true;
  const found = new Set(
    convolutionsOf(graph).flatMap(({ inputs, outputs }) => [...inputs, ...outputs.filter(isWhole)]),
  );
  for (const id of graph.inputs) found.delete(id);
  return [...found].map((id) => rangeName(graph.values[id]!));
}

const convolutionsOf = ({ nodes }: Graph): readonly Node[] =>
  nodes.filter(({ operation }) => operation.kind === 'convolution');

/**
 * The ranges by this net's names. A range that is practically 0 becomes 0, such as that of a blob that is always 0.
 * Convolutions that read it do not use int8.
 * @param written Without the passes.
 * @throws ArgumentError if the calibration belongs to another net, or if a range exceeds float32
 */
export function rangesOf(written: Graph, calibration: Ranges): ReadonlyMap<string, number> {
  const refuse = (expected: string, found: string) => new ArgumentError('calibration', expected, found);
  const names = new Set(written.values.map(rangeName));
  const folded = calibration.net === written.name ? foldedInto(written, names) : new Map<string, string>();
  const ranges = new Map<string, number>();
  const unknown: string[] = [];
  for (const [name, range] of Object.entries(calibration.ranges)) {
    if (range > LARGEST_RANGE) throw refuse('ranges that float32 holds', `${range} for ${name}`);
    const known = names.has(name) ? name : folded.get(name.slice(0, name.lastIndexOf('@')));
    if (known === undefined) unknown.push(name);
    else ranges.set(known, range < LEAST_RANGE ? 0 : range);
  }
  const cure = 'make one with "resnode quantize" for this net (in code: calibrate)';
  const ofNet = written.name === '' ? 'this net' : `this net, "${written.name}"`;
  const ofOther =
    calibration.net === '' ? 'one of a net without a name' : `one of the net ${calibration.net}`;
  if (unknown.length > 0)
    throw refuse(
      `one of ${ofNet}: ${cure}`,
      `${ofOther}, with ${unknown.length} of ${Object.keys(calibration.ranges).length} ranges of blobs that the net does not have: ${some(unknown)}`,
    );
  const lacking = withoutRange(asCalibrated(written), ranges);
  if (lacking.length > 0)
    throw refuse(
      `one of ${ofNet}: ${cure}; a range of 0 excludes the convolutions that read its blob from int8`,
      `${ofOther}, without a range for the inputs of ${lacking.length} convolutions: ${some(lacking)}`,
    );
  if (calibration.net !== '' && written.name !== '' && calibration.net !== written.name)
    warn(
      'calibration/other-net',
      `the calibration is of the net "${calibration.net}", whose blobs have the names of those of "${written.name}"; if its weights differ, ${cure}`,
    );
  return ranges;
}

/**
 * Maps a blob to the name of its convolution's result. In-place BatchNorm and Scale, which the blob is named after, may be
 * merged into that (`convert --merge`).
 */
function foldedInto(written: Graph, names: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>();
  for (const { outputs } of convolutionsOf(written)) {
    const value = written.values[outputs[0]!]!;
    if (names.has(rangeName(value)) && !found.has(value.blob)) found.set(value.blob, rangeName(value));
  }
  return found;
}

/** Convolutions whose input has no range in the calibration: the layer, and the blob. */
function withoutRange(graph: Graph, ranges: ReadonlyMap<string, number>): string[] {
  const known = new Set<ValueId>(graph.inputs);
  for (const [id, value] of graph.values.entries()) if (ranges.has(rangeName(value))) known.add(id);
  for (const { operation, inputs, outputs } of graph.nodes)
    if (operation.kind === 'pooling' && known.has(inputs[0]!)) known.add(outputs[0]!);
  return convolutionsOf(graph)
    .filter(({ inputs }) => !known.has(inputs[0]!))
    .map(({ name, inputs }) => `layer ${name} reads ${rangeName(graph.values[inputs[0]!]!)}`);
}

const some = (names: readonly string[]): string =>
  `${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}`;
