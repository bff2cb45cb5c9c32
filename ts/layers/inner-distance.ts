/**
 * InnerDistance of happynear's fork (github.com/happynear/caffe-windows, inner_distance_layer.cpp): how far items are
 * from each of some points.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import { unitRows } from './unit-length.ts';

export const distanceLayers: Layers = { InnerDistance: { build: innerDistance, bottoms: [1, 3] } };

interface InnerDistanceParameter {
  readonly num_output?: number;
  readonly bias_term: boolean;
  readonly weight_filler?: object;
  readonly bias_filler?: object;
  readonly axis: number;
  readonly transpose: boolean;
  readonly distance_type: string;
  readonly normalize: boolean;
}

/** Of each value: its part of the distance, and the slope of that. */
const DISTANCES: Readonly<
  Record<string, { readonly of: (d: number) => number; readonly slope: (d: number) => number }>
> = {
  L2: { of: (d) => d * d, slope: (d) => 2 * d },
  L1: { of: Math.abs, slope: Math.sign },
};

function innerDistance(context: LayerContext): Built {
  const written = context.layer.inner_distance_param;
  const p = withDefaults<InnerDistanceParameter>('InnerDistanceParameter', written);
  const at = (field: string) => positionOf(written, field) ?? 'inner_distance_param';
  const [shape, given, givenBias] = context.shapes as [Shape, Shape?, Shape?];
  const axis = canonicalAxis(context, p.axis, shape.length);
  const [items, depth] = [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))];
  const points = p.num_output ?? (given === undefined ? 0 : Math.floor(elementCount(given) / depth));
  if (points < 1) context.fail('num-output', 'num_output must be given and at least 1', at('num_output'));
  if (p.transpose)
    context.fail('unsupported', 'transpose: true is not supported; remove it', at('transpose'));
  if (!Object.hasOwn(DISTANCES, p.distance_type))
    context.fail(
      'unsupported',
      `distance_type must be "L2" or "L1", found "${p.distance_type}"`,
      at('distance_type'),
    );
  if (given !== undefined && elementCount(given) !== points * depth)
    context.fail(
      'shape',
      `${points} points of ${depth} values need as many in the second bottom, found ${showShape(given)}`,
    );
  if (givenBias !== undefined && elementCount(givenBias) !== points)
    context.fail('shape', `the third bottom must have ${points} values, found ${showShape(givenBias)}`);
  const layer = new Composition(context.shapes);
  const [x, second, third] = layer.bottoms as [Part, Part?, Part?];
  const w = second === undefined ? ownPoints(context, layer, p, [points, depth]) : second;
  const { of, slope } = DISTANCES[p.distance_type]!;
  const top = [...shape.slice(0, axis), points];
  const operation = hostFunction(context, [x.shape, w.shape], [top], {
    forward: ([xs, ws]) => {
      const made = new Float32Array(items * points);
      for (let m = 0; m < items; m++)
        for (let n = 0; n < points; n++) {
          let sum = 0;
          for (let k = 0; k < depth; k++) sum += of(xs!.data[m * depth + k]! - ws!.data[n * depth + k]!);
          made[m * points + n] = sum;
        }
      return [made];
    },
    backward: ({ bottoms: [xs, ws], topDiffs: [diff] }) => {
      const [dx, dw] = [new Float64Array(items * depth), new Float64Array(points * depth)];
      for (let m = 0; m < items; m++)
        for (let n = 0; n < points; n++)
          for (let k = 0; k < depth; k++) {
            const down =
              diff!.data[m * points + n]! * slope(xs!.data[m * depth + k]! - ws!.data[n * depth + k]!);
            dx[m * depth + k]! += down;
            dw[n * depth + k]! -= down;
          }
      return [Float32Array.from(dx), Float32Array.from(dw)];
    },
  });
  const distances = layer.one(operation, [x, w], top);
  const bias =
    third ?? (second === undefined && p.bias_term ? ownBias(context, layer, p, points) : undefined);
  if (bias === undefined) return layer.built([distances]);
  return layer.built([
    layer.one(
      { kind: 'scale', operand: 'bias', scale: null, bias: null, outer: items, channels: points, inner: 1 },
      [distances, layer.reshape(bias, [points])],
      top,
    ),
  ]);
}

/** The layer's own points, of length 1 with `normalize`. */
function ownPoints(context: LayerContext, layer: Composition, p: InnerDistanceParameter, shape: Shape): Part {
  const blob = context.parameter(shape, p.weight_filler);
  const rows = layer.one({ kind: 'parameter', blob }, [], shape);
  return p.normalize ? unitRows(context, layer, rows, 1e-6) : rows;
}

function ownBias(context: LayerContext, layer: Composition, p: InnerDistanceParameter, points: number): Part {
  const blob = context.parameter([points], p.bias_filler);
  return layer.one({ kind: 'parameter', blob }, [], [points]);
}
