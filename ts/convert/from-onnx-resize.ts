/**
 * Resize and Upsample. Interpolation with aligned corners becomes Interp, and repetition of values becomes Upsample. Any
 * other resampling is linear along each axis and becomes products with constant matrices.
 * https://onnx.ai/onnx/operators/onnx__Resize.html
 */
import { toFloat32 } from '../caffe/blob.ts';
import { type AxisMap, alongAxis, finish } from './along-axis.ts';
import type { NodeContext } from './node-context.ts';
import { blobOfTensor, integersOf } from './onnx-constants.ts';

/** Longer sides are not tested value by value for a repetition. */
const MOST_REPEATED = 2 ** 16;

/** The resampling of one axis. */
interface Resampling {
  readonly from: number;
  readonly to: number;
  /** The scale in the file, or else the ratio of the sizes. */
  readonly scale: number;
}

/** Up to opset 9. */
export function upsample(node: NodeContext) {
  resample(node, 'asymmetric', 'floor', floatsAt(node, 1) ?? floatsOf(node, 'scales'));
}

const floatsOf = (node: NodeContext, name: string): readonly number[] | null => {
  const found = node.node.attributes.get(name);
  return found?.type === 'floats' ? found.value : null;
};

export function resize(node: NodeContext) {
  if (node.opset < 11) return resample(node, 'asymmetric', 'floor', floatsAt(node, 1));
  if (node.integer('antialias', 0) !== 0) node.fail('antialias is not converted; export the net without it');
  if (node.integers('axes') !== null) node.fail('axes are not converted; export with opset 17 or earlier');
  const sizes = node.constant(3);
  const target = sizes === null ? null : integersOf(sizes);
  resample(
    node,
    node.text('coordinate_transformation_mode', 'half_pixel'),
    node.text('nearest_mode', 'round_prefer_floor'),
    target === null ? floatsAt(node, 2) : null,
    target,
  );
}

function floatsAt(node: NodeContext, input: number): readonly number[] | null {
  const tensor = node.constant(input);
  const blob = tensor === null || tensor.shape[0] === 0 ? null : blobOfTensor(tensor);
  return blob === null ? null : [...toFloat32(blob)];
}

function resample(
  node: NodeContext,
  transformation: string,
  nearest: string,
  scales: readonly number[] | null,
  sizes: readonly number[] | null = null,
) {
  const x = node.activation(0);
  const given = scales ?? sizes ?? node.fail('its scales and sizes are computed as the net runs');
  if (given.length !== x.shape.length) node.fail(`it resizes ${given.length} axes of ${x.shape.length}`);
  const mode = node.text('mode', 'nearest');
  const axes = x.shape.map((from, axis): Resampling => {
    const to = sizes === null ? Math.floor(from * scales![axis]!) : sizes[axis]!;
    return { from, to, scale: scales?.[axis] ?? to / from };
  });
  if (axes.some(({ to }) => !(to >= 1))) node.fail('a size would be below 1');
  const maps = axes.map((axis) => mapOf(node, mode, transformation, nearest, axis));
  const changed = axes.flatMap(({ from, to }, axis) => (from === to ? [] : [axis]));
  const isPlane = x.shape.length === 4 && changed.every((axis) => axis >= 2);
  const [, , height, width] = axes as [Resampling, Resampling, Resampling, Resampling];
  if (isPlane && mode === 'linear' && transformation === 'align_corners')
    return node.layer({
      name: node.layerName(),
      type: 'Interp',
      interp_param: { height: height.to, width: width.to },
    });
  const factor = isPlane ? height.to / height.from : 0;
  const repeats = (axis: 2 | 3) =>
    mode === 'nearest' &&
    axes[axis]!.to <= MOST_REPEATED &&
    Array.from({ length: axes[axis]!.to }, (_, i) => maps[axis]!.of(i)[0]![0]).every(
      (from, i) => from === Math.floor(i / factor),
    );
  if (Number.isInteger(factor) && factor > 0 && width.to === width.from * factor && repeats(2) && repeats(3))
    return node.layer({ name: node.layerName(), type: 'Upsample', upsample_param: { scale: factor } });
  const made = changed.reduce((value, axis) => alongAxis(node, value, axis, maps[axis]!), x);
  finish(node, made);
}

/** The source values of each value, with their weights. */
function mapOf(
  node: NodeContext,
  mode: string,
  transformation: string,
  nearest: string,
  axis: Resampling,
): AxisMap {
  const { from, to } = axis;
  const place = placeOf(node, transformation, axis);
  const within = (index: number) => Math.min(from - 1, Math.max(0, index));
  const sources = (made: number) => {
    const at = place(made);
    if (mode === 'nearest') return [[within(rounded(node, nearest, at)), 1] as const];
    const first = Math.floor(at);
    const part = at - first;
    if (mode === 'linear')
      return [
        [within(first), 1 - part],
        [within(first + 1), part],
      ].filter(([, share]) => share !== 0) as [number, number][];
    if (mode !== 'cubic') return node.fail(`mode ${mode} is none of nearest, linear and cubic`);
    if (node.integer('exclude_outside', 0) !== 0) node.fail('exclude_outside is not converted');
    return cubic(part, node.float('cubic_coeff_a', -0.75)).map(
      (share, k) => [within(first - 1 + k), share] as const,
    );
  };
  return { count: to, of: sources };
}

function placeOf(node: NodeContext, transformation: string, { from, to, scale }: Resampling) {
  switch (transformation) {
    case 'half_pixel':
      return (i: number) => (i + 0.5) / scale - 0.5;
    case 'pytorch_half_pixel':
      return (i: number) => (to > 1 ? (i + 0.5) / scale - 0.5 : 0);
    case 'asymmetric':
      return (i: number) => i / scale;
    case 'align_corners':
      return (i: number) => (to > 1 ? (i * (from - 1)) / (to - 1) : 0);
    default:
      return node.fail(`coordinate_transformation_mode ${transformation} is not converted`);
  }
}

function rounded(node: NodeContext, mode: string, at: number): number {
  switch (mode) {
    case 'round_prefer_floor':
      return Math.ceil(at - 0.5);
    case 'round_prefer_ceil':
      return Math.floor(at + 0.5);
    case 'floor':
      return Math.floor(at);
    case 'ceil':
      return Math.ceil(at);
    default:
      return node.fail(`nearest_mode ${mode} is unknown`);
  }
}

/** Keys, "Cubic convolution interpolation for digital image processing" (1981), with −0.75 or −0.5 for a. */
function cubic(part: number, a: number): [number, number, number, number] {
  const near = (d: number) => ((a + 2) * d - (a + 3)) * d * d + 1;
  const far = (d: number) => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return [far(1 + part), near(part), near(1 - part), far(2 - part)];
}
