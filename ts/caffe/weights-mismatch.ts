/**
 * Explains errors of weights: layers without weights, and blobs whose number or shape does not fit the net, with the
 * cause and the cure.
 */
import { elementCount } from '../base/shape.ts';
import type { WeightsFile, WeightsLayer } from './caffemodel.ts';

type Shape = readonly number[];

export interface Mismatch {
  readonly code: 'weights/blob-count' | 'weights/shape-mismatch';
  readonly layer: string;
  readonly message: string;
}

export interface MismatchOptions {
  readonly isTraining: boolean;
  readonly reshapeWeights: boolean;
}

/**
 * The first layer, in the file's order, whose shapes in file and net differ; null if all fit.
 * @param sources The file's layers by name.
 * @param targets Layer of the net → its blobs' shapes.
 */
export function mismatchOf(
  sources: ReadonlyMap<string, WeightsLayer>,
  targets: ReadonlyMap<string, readonly Shape[]>,
  options: MismatchOptions,
): Mismatch | null {
  const common = [...sources.values()].filter(({ name }) => targets.has(name));
  const found = common.flatMap((source) => mismatch(source, targets.get(source.name)!, options) ?? []);
  const [first, ...others] = found;
  if (first === undefined) return null;
  // In files of the same family (ResNet-18 for 34 layers, 20 for 56) many layers fit.
  const isOther = others.length > 0 && 2 * found.length >= common.length;
  const more =
    others.length === 0
      ? ''
      : `; so ${others.length === 1 ? 'is' : 'are'} ${others.map(({ layer }) => `"${layer}"`).join(', ')}${isOther ? `: ${found.length} of the ${common.length} layers whose names file and net share differ, so the file probably belongs to another net` : ''}`;
  return { ...first, message: first.message + more };
}

function mismatch(
  { name, type, blobs }: WeightsLayer,
  targets: readonly Shape[],
  options: MismatchOptions,
): Mismatch | null {
  const shapes = blobs.map(({ shape }) => shape);
  const scratch = options.isTraining ? '; to train it from its filler, rename the layer in the prototxt' : '';
  if (shapes.length !== targets.length)
    return {
      code: 'weights/blob-count',
      layer: name,
      message: `layer "${name}" has ${count(shapes.length, 'blob')} in the file (${shapesText(shapes)}), the net needs ${targets.length} (${shapesText(targets)}): ${countCause(shapes, targets, type)}${scratch}`,
    };
  const fits = (source: Shape, target: Shape) =>
    sameShape(source, target) || (options.reshapeWeights && isReshaped(source, target));
  const index = shapes.findIndex((shape, i) => !fits(shape, targets[i]!));
  if (index < 0) return null;
  return {
    code: 'weights/shape-mismatch',
    layer: name,
    message: `layer "${name}", blob ${index}: the file has ${shapeText(shapes[index]!)}, the net needs ${shapeText(targets[index]!)}: ${shapeCause(shapes[index]!, targets[index]!, options)}${scratch}`,
  };
}

/** Whether Caffe accepts one shape for the other: equal, or legacy 4-D with leading ones. */
export function sameShape(source: Shape, target: Shape): boolean {
  const extra = source.length - target.length;
  if (extra !== 0 && source.length !== 4) return false;
  return (
    extra >= 0 &&
    source.slice(0, extra).every((dim) => dim === 1) &&
    target.every((dim, i) => dim === source[i + extra])
  );
}

/**
 * Whether shapes with other dimensions have the same values in the same order: an InnerProduct's and a Convolution's
 * matrix.
 */
export function isReshaped(source: Shape, target: Shape): boolean {
  if (sameShape(source, target) || elementCount(source) !== elementCount(target)) return false;
  const withoutOnes = (shape: Shape) => String(shape.filter((dim) => dim !== 1));
  const isMatrix = source.length === 2 || target.length === 2;
  return withoutOnes(source) === withoutOnes(target) || (isMatrix && source[0] === target[0]);
}

/** For example `4×8` or `a scalar`. */
export const shapeText = (shape: Shape): string => (shape.length === 0 ? 'a scalar' : shape.join('×'));
/** For example `4×8, 4`. */
const shapesText = (shapes: readonly Shape[]): string => shapes.map(shapeText).join(', ') || 'none';

function countCause(sources: readonly Shape[], targets: readonly Shape[], type: string): string {
  if (sources.length === 0) return 'the file names the layer without weights, use another snapshot';
  if (sources.length === 5 && targets.length === 3)
    return "five blobs are the BatchNorm of NVIDIA's Caffe with scale and bias inside, write scale_bias: true in its batch_norm_param";
  const isSame = sameShape(sources[0]!, targets[0]!);
  if (isSame && sources.length === 2 && targets.length === 1)
    return 'the file has a bias but the net has none, write bias_term: true';
  if (isSame && sources.length === 1 && targets.length === 2)
    return 'the net has a bias but the file has none, write bias_term: false';
  return `it is another layer there${type === '' ? '' : ` (${type})`}, does the file belong to another net?`;
}

function shapeCause(source: Shape, target: Shape, { isTraining }: MismatchOptions): string {
  if (isReshaped(source, target)) {
    const isMatrix = ({ length }: Shape) => length === 2;
    const [from, to] = isMatrix(source)
      ? ["an InnerProduct's", 'a Convolution']
      : ["a Convolution's", 'an InnerProduct'];
    const isOfBoth = [source, target].some(isMatrix) && [source, target].some(({ length }) => length === 4);
    const both = isOfBoth ? `${from} for ${to}` : 'other dimensions';
    return `${both}, with the same values in the same order; reshapeWeights: true (--reshape-weights) accepts them`;
  }
  const differing = target.map((_, i) => i).filter((i) => source[i] !== target[i]);
  const only = source.length === target.length && differing.length === 1 ? differing[0]! : null;
  if (only === 1 && source.length === 4) return inputChannels(source[1]!, target[1]!);
  if (only === 1 && source.length === 2) return inputValues(source[1]!, target[1]!);
  if (only === 0) return outputs(source, target, isTraining);
  if (source.length === 2 && target.length === 2 && source[0] === target[1] && source[1] === target[0])
    return 'they are transposed, write the other value of transpose in its inner_product_param';
  if (source.length === 4 && target.length === 4) {
    const [out, into, height, width] = target as [number, number, number, number];
    if (String(source) === String([height, width, into, out]))
      return "height × width × inputs × outputs is TensorFlow's order, transpose them to outputs × inputs × height × width";
    if (source[0] === into && source[1] === out && source[2] === height && source[3] === width)
      return 'inputs and outputs are exchanged, as in a Deconvolution or a transposed convolution';
    if (source[0] === out && source[1] === into)
      return `the file's kernel is ${source[2]}×${source[3]}, write its kernel_size`;
  }
  return 'does the file belong to another net?';
}

const COLOURS = [1, 3];

function inputChannels(source: number, target: number): string {
  if (COLOURS.includes(source) && COLOURS.includes(target))
    return source === 3
      ? 'the file was trained with colour images (3 channels), the input is grey; give the net an input of 3 channels and write grey images in colour: is_color: true in an ImageData layer, force_color: true in the transform_param of a Data layer'
      : 'the file was trained with grey images (1 channel), the input has colour; give the net an input of 1 channel and read images as grey: is_color: false in an ImageData layer, force_gray: true in the transform_param of a Data layer';
  const group = Math.max(source, target) / Math.min(source, target);
  const isGroup = Number.isInteger(group) ? `, or group differs by ${group} times` : '';
  return `it reads ${source} channels in the file and ${target} here; the layer that produces its bottom has another num_output${isGroup}`;
}

function inputValues(source: number, target: number): string {
  if (source === 3 * target)
    return 'it reads three times as many values in the file, as for colour images; give the net an input of 3 channels (force_color: true or is_color: true in a data layer)';
  if (target === 3 * source)
    return 'it reads a third as many values in the file, as for grey images; give the net an input of 1 channel (force_gray: true or is_color: false in a data layer)';
  return `it reads ${source} values in the file and ${target} here; the input (or crop_size) has another elementCount, or a layer before it differs`;
}

function outputs(source: Shape, target: Shape, isTraining: boolean): string {
  const [from, to] = [source[0]!, target[0]!];
  return isTraining
    ? `it has ${from} outputs or classes in the file and ${to} here (num_output)`
    : `it has ${from} outputs or classes in the file and ${to} here, write num_output: ${from}; other classes need training (resnode finetune)`;
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
type Shapes = readonly (readonly number[])[];

/**
 * The use of the weights: to run a net, to train it, to set them in a loaded net, or to write another format, which has
 * no fillers.
 */
export type WeightsUse = 'run' | 'train' | 'set' | 'write';
/** This many missing layers are listed with the fitting layers of the file, the others only by name. */
const MOST_DESCRIBED = 5;

/**
 * @param missing Layers of the net, in its order.
 * @param shapes The shapes of all its layers with parameters.
 * @returns A sentence that names the missing layers, every unmatched layer of the file with equal shapes, and the
 * cures.
 */
export function missingWeights(
  missing: readonly string[],
  shapes: ReadonlyMap<string, Shapes>,
  weights: WeightsFile,
  use: WeightsUse,
): string {
  const unmatched = weights.layers.filter(({ name, blobs }) => blobs.length > 0 && !shapes.has(name));
  const fitting = (layer: string) => unmatched.filter((source) => fits(source, shapes.get(layer)!));
  const described = missing.slice(0, MOST_DESCRIBED).map((layer) => {
    const found = fitting(layer);
    const renamed = found.map(({ name }) => `"${name}"`).join(', ');
    return `"${layer}" ${shapesText(shapes.get(layer)!)}${found.length === 0 ? '' : ` (the file has ${renamed} ${shapesText(shapes.get(layer)!)}: renamed?)`}`;
  });
  const rest = missing.slice(MOST_DESCRIBED).map((layer) => `"${layer}"`);
  const isNone = missing.length === shapes.size;
  const partial = 'partialWeights: true (--partial-weights)';
  return [
    isNone
      ? `none of the net's ${missing.length} layers with parameters has weights in this file: ${[...described, ...rest].join(', ')}`
      : missing.length === 1
        ? `layer ${described[0]} has no weights in this file`
        : `${missing.length} layers have no weights in this file: ${[...described, ...rest].join(', ')}`,
    otherLayersText(weights, unmatched, missing, isNone),
    {
      set: 'give the weights of this net',
      train: `give the weights of this net, or ${partial} to begin with the values of the fillers`,
      run: `name the layers of the prototxt as the file does or give its own weights; ${partial} keeps the values of their fillers`,
      write: 'name the layers of the prototxt as the file does, or give its own weights',
    }[use],
  ].join('; ');
}

/** A description of the file's layers that the net lacks. */
function otherLayersText(
  { name, layers }: WeightsFile,
  unmatched: readonly WeightsLayer[],
  missing: readonly string[],
  isNone: boolean,
): string {
  if (layers.every(({ blobs }) => blobs.length === 0)) return 'the file has no weights at all';
  const prefix = commonPrefix(unmatched, missing);
  if (prefix !== null) return `the file's names begin with "${prefix}", the net's do not`;
  if (unmatched.length === 0) return 'the file has no other layers';
  const first = unmatched
    .slice(0, MOST_DESCRIBED)
    .map((layer) => `"${layer.name}" ${shapesText(layer.blobs.map(({ shape }) => shape))}`);
  const more = unmatched.length > MOST_DESCRIBED ? ` and ${unmatched.length - MOST_DESCRIBED} more` : '';
  const whose = name === '' ? '' : ` (of the net "${name}")`;
  return `the file${whose} has ${isNone ? '' : 'besides '}${first.join(', ')}${more}`;
}

/** The prefix that the file adds to the names of all missing layers. */
function commonPrefix(unmatched: readonly WeightsLayer[], missing: readonly string[]): string | null {
  const names = unmatched.map(({ name }) => name);
  const first = names.find((name) => name.endsWith(missing[0]!) && name.length > missing[0]!.length);
  const prefix = first?.slice(0, -missing[0]!.length);
  return prefix !== undefined && missing.every((layer) => names.includes(prefix + layer)) ? prefix : null;
}
const fits = ({ blobs }: WeightsLayer, shapes: Shapes): boolean =>
  blobs.length === shapes.length && blobs.every(({ shape }, i) => sameShape(shape, shapes[i]!));
