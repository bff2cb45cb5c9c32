/**
 * Correlation and Correlation1D of Freiburg's fork (github.com/lmb-freiburg/flownet2: FlowNet, DispNet; SegStereo has the
 * latter) compare patches of one feature map with displaced patches of another. They are rewritten as products, sums over
 * channels and means over patches. One displacement is computed at a time, so at most two blobs of the bottoms' size are
 * held.
 */
import type { Shape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { type Built, checkTop, type LayerContext, type Layers } from './layer.ts';
import type { Operation, Pair } from './operation.ts';
import { fourDimensions } from './window.ts';

export const correlationLayers: Layers = {
  Correlation: { build: (context) => correlation(context, true), bottoms: [2, 2] },
  Correlation1D: { build: (context) => correlation(context, false), bottoms: [2, 2] },
};

interface Parameters {
  readonly pad: number;
  readonly kernel_size?: number;
  readonly max_displacement?: number;
  readonly stride_1: number;
  readonly stride_2: number;
  readonly single_direction: number;
  readonly correlation_type: string;
}

/** The largest size in Caffe. */
const MOST = 2 ** 31 - 1;
/** Each displacement needs several operations. */
const MOST_DISPLACEMENTS = 4096;

/** A part of a plane: rows and columns, which may be outside of it. */
interface Region {
  readonly from: Pair;
  readonly size: Pair;
}

/**
 * correlation_layer.cpp and correlation_layer1d.cpp, Reshape, and their kernels; neither reads do_abs. A value is the mean,
 * over the channels and the positions of a patch, of products of both blobs or of the magnitudes of their differences. b is
 * displaced, and both are surrounded by zeros. Correlation1D pads and displaces only along the width. With
 * single_direction −1 it begins one stride_2 to the left of max_displacement and ends one before the position itself. There
 * the fork reads values before the row, which are 0 if pad is at least stride_2.
 */
function correlation(context: LayerContext, isSquare: boolean): Built {
  const written = context.layer.correlation_param as Message | undefined;
  const p = withDefaults<Parameters>('CorrelationParameter', written);
  const refuse = (field: string, text: string): never =>
    context.fail('correlation', `${field} ${text}`, positionOf(written, field) ?? 'correlation_param');
  const size = (field: 'kernel_size' | 'max_displacement' | 'pad' | 'stride_1' | 'stride_2'): number => {
    const value = p[field] ?? refuse(field, 'is missing, and has no default');
    const least = field === 'pad' || field === 'max_displacement' ? 0 : 1;
    if (value < least || value > MOST) refuse(field, `must be from ${least} to 2^31 − 1, found ${value}`);
    return value;
  };
  const [kernel, most, pad] = [size('kernel_size'), size('max_displacement'), size('pad')];
  const [stride, step] = [size('stride_1'), size('stride_2')];
  if (kernel % 2 === 0) refuse('kernel_size', `must be odd, found ${kernel}`);
  const direction = isSquare ? 0 : p.single_direction;
  if (![-1, 0, 1].includes(direction))
    refuse('single_direction', `must be −1 (left), 0 (both) or 1 (right), found ${direction}`);

  const [n, , height, width] = fourDimensions(context) as [number, number, number, number];
  const border = 2 * most + kernel - 1;
  const tall = Math.ceil((height + (isSquare ? 2 * pad - border : 1 - kernel)) / stride);
  const wide = Math.ceil((width + 2 * pad - border) / stride);
  if (tall < 1 || wide < 1)
    refuse(
      'max_displacement',
      `${most} and kernel_size ${kernel} do not fit a bottom of ${height}×${width} with pad ${pad}: the top would be ` +
        `${Math.max(tall, 0)}×${Math.max(wide, 0)}; give a larger pad, or a smaller max_displacement`,
    );
  const displacements = displacementsOf(Math.floor(most / step), step, direction, isSquare);
  if (displacements.length > MOST_DISPLACEMENTS)
    refuse(
      'max_displacement',
      `${most} at steps of ${step} makes more than ${MOST_DISPLACEMENTS} displacements, the largest number that is supported`,
    );
  const top: Shape = [n, displacements.length, tall, wide];
  checkTop(context, top, 'correlation_param');

  const from: Pair = [isSquare ? most - pad : 0, most - pad];
  const sides: Pair = [(tall - 1) * stride + kernel, (wide - 1) * stride + kernel];
  const layer = new Composition(context.shapes);
  const a = padded(layer, layer.bottoms[0]!, [{ from, size: sides }])(0);
  const moved = displacements.map(([down, right]) => ({
    from: [from[0] + down, from[1] + right] as const,
    size: sides,
  }));
  const b = padded(layer, layer.bottoms[1]!, moved);
  // One after the other: each is compared before the next one is cropped.
  const maps = moved.map((_, i) => compared(layer, a, b(i), p.correlation_type === 'SUBTRACT'));
  const joined = layer.one({ kind: 'concat', axis: 1 }, maps, [n, maps.length, ...sides]);
  const patches: Operation = {
    kind: 'pooling',
    method: 'average',
    kernel: [kernel, kernel],
    stride: [stride, stride],
    pad: [0, 0],
  };
  return layer.built([kernel === 1 && stride === 1 ? joined : layer.one(patches, [joined], top)]);
}

/** Rows of displacements from top to bottom, each from left to right. */
function displacementsOf(
  radius: number,
  step: number,
  direction: number,
  isSquare: boolean,
): readonly Pair[] {
  const columns = direction === 0 ? 2 * radius + 1 : radius + 1;
  const rows = isSquare ? columns : 1;
  const first = direction === 0 ? -radius : direction < 0 ? -columns : 0;
  // One more than the limit suffices to detect that there are too many.
  return Array.from({ length: Math.min(rows * columns, MOST_DISPLACEMENTS + 1) }, (_, i) => [
    isSquare ? (first + Math.floor(i / columns)) * step : 0,
    (first + (i % columns)) * step,
  ]);
}

/** Pads a blob with the zeros that its regions need, and returns a function from an index to a region. */
function padded(layer: Composition, x: Part, regions: readonly Region[]): (region: number) => Part {
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  const outside = (axis: 0 | 1): number =>
    regions.reduce(
      (most, { from, size }) =>
        Math.max(most, -from[axis], from[axis] + size[axis] - (axis === 0 ? height : width)),
      0,
    );
  const pad: Pair = [outside(0), outside(1)];
  const around = layer.surrounded(x, pad);
  return (region) => {
    const { from, size } = regions[region]!;
    const offset = [0, 0, from[0] + pad[0], from[1] + pad[1]];
    return layer.one({ kind: 'crop', offset }, [around], [n, channels, ...size]);
  };
}

/** The mean over the channels of products, or of magnitudes of differences: N×1×H×W. */
function compared(layer: Composition, a: Part, b: Part, subtracts: boolean): Part {
  const [n, channels, height, width] = a.shape as [number, number, number, number];
  const difference: Operation = {
    kind: 'eltwise',
    operation: 'sum',
    coefficients: [1, -1],
    stableProdGrad: true,
    relu: null,
  };
  const values = subtracts ? layer.one(difference, [a, b], a.shape) : layer.product([a, b]);
  const rows = layer.permute(values, [0, 2, 3, 1]);
  const sums = layer.one(
    {
      kind: 'reduction',
      method: subtracts ? 'asum' : 'sum',
      coefficient: 1 / channels,
      outer: n * height * width,
      inner: channels,
    },
    [rows],
    [n, height, width],
  );
  return layer.reshape(sums, [n, 1, height, width]);
}
