/**
 * Layers that read maps at computed points: Warp of LiteFlowNet (github.com/twhui/LiteFlowNet) and of PWC-Net
 * (github.com/NVlabs/PWC-Net), FlowWarp of FlowNet 2 (github.com/lmb-freiburg/flownet2), and SpatialTransformer
 * (github.com/daerduoCarey/SpatialTransformerLayer, arXiv:1506.02025); also Grid and ChannelNorm, which are used with
 * them.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import { type Built, checkTop, type LayerContext, type Layers } from './layer.ts';
import type { Operation } from './operation.ts';
import { lengthsOfRows } from './unit-length.ts';
import { planesOf } from './window.ts';

export const warpLayers: Layers = {
  ChannelNorm: { build: channelNorm },
  FlowWarp: { build: flowWarp, bottoms: [2, 2] },
  Grid: { build: grid },
  SpatialTransformer: { build: spatialTransformer, bottoms: [2, 2] },
  Warp: { build: warp, bottoms: [2, 2] },
};

/** The shape of the second bottom, which must have x and y for each item. */
function pointsOf(context: LayerContext): readonly [height: number, width: number] {
  const [items] = planesOf(context);
  const points = context.shapes[1]!;
  const [n, two, height = 1, width = 1] = points;
  if (points.length !== 4 || n !== items || two !== 2)
    context.fail('shape', `needs x and y of points, ${items}×2×H×W, found ${showShape(points)}`);
  return [height, width];
}

/**
 * warp_layer.cpp. LiteFlowNet's nets turn flows into points by Grid, and its layer reads at these points. PWC-Net has
 * no Grid: its layer adds the flows to the positions, and takes the mean of the slopes on both sides if a point lies
 * exactly on a pixel.
 */
function warp(context: LayerContext): Built {
  const [height, width] = pointsOf(context);
  const [items, channels, rows, columns] = planesOf(context);
  const isAbsolute = context.state.types?.has('Grid') === true;
  if (rows !== height || columns !== width)
    context.fail(
      'shape',
      `needs a point for each place of ${rows}×${columns}, found ${showShape(context.shapes[1]!)}`,
    );
  const operation: Operation = isAbsolute
    ? { kind: 'bilinearSample', relative: false, outside: 'neighbours', slope: 'right' }
    : { kind: 'bilinearSample', relative: true, outside: 'points', slope: 'mean' };
  return { operation, tops: [[items, channels, height, width]] };
}

/** flow_warp_layer.cpp. */
function flowWarp(context: LayerContext): Built {
  const written = context.layer.flow_warp_param;
  const p = withDefaults<{ fill_value: string }>('FlowWarpParameter', written);
  const [height, width] = pointsOf(context);
  const [items, channels, rows, columns] = planesOf(context);
  if (rows !== height || columns !== width)
    context.fail(
      'shape',
      `needs a flow for each place of ${rows}×${columns}, found ${showShape(context.shapes[1]!)}`,
    );
  if (p.fill_value !== 'ZERO')
    context.fail(
      'unsupported',
      'fill_value: NOT_A_NUMBER marks what lies outside for losses that leave it out; it is run with ZERO',
      positionOf(written, 'fill_value'),
    );
  return {
    operation: { kind: 'bilinearSample', relative: true, outside: 'beyond', slope: 'right' },
    tops: [[items, channels, height, width]],
  };
}

/** grid_layer.cpp: x and y of each position. */
function grid(context: LayerContext): Built {
  const [items, , height, width] = planesOf(context);
  const top = [items, 2, height, width];
  const operation = hostFunction(context, context.shapes, [top], {
    forward: () => [
      Float32Array.from({ length: elementCount(top) }, (_, i) => {
        const [plane, place] = [Math.floor(i / (height * width)), i % (height * width)];
        return plane % 2 === 0 ? place % width : Math.floor(place / width);
      }),
    ],
  });
  const layer = new Composition(context.shapes);
  return layer.built([layer.one(operation, [layer.bottoms[0]!], top, [false])]);
}

/**
 * channel_norm_layer.cpp: the length of the channels at each position. Its gradient divides by a length to which 1e-9
 * is added.
 */
function channelNorm(context: LayerContext): Built {
  const [items, channels, height, width] = planesOf(context);
  const layer = new Composition(context.shapes);
  const places = layer.permute(
    layer.reshape(layer.bottoms[0]!, [items, channels, height * width]),
    [0, 2, 1],
  );
  const rows = layer.reshape(places, [items * height * width, channels]);
  return layer.built([
    layer.reshape(lengthsOfRows(layer, rows, { power: 0.5, eps: 1e-18 }), [items, 1, height, width]),
  ]);
}

const THETA = ['theta_1_1', 'theta_1_2', 'theta_1_3', 'theta_2_1', 'theta_2_2', 'theta_2_3'] as const;

interface SpatialTransformerParameter {
  readonly transform_type: string;
  readonly sampler_type: string;
  readonly output_H?: number;
  readonly output_W?: number;
  readonly to_compute_dU: boolean;
}

/**
 * st_layer.cpp: the position (s, t) of the top is read at θ·(2s/H′ − 1, 2t/W′ − 1, 1), a row and a column from −1 to 1
 * of the bottom. Its second bottom contains the values of θ that st_param does not set.
 */
function spatialTransformer(context: LayerContext): Built {
  const written = context.layer.st_param as Message | undefined;
  const p = withDefaults<SpatialTransformerParameter>('SpatialTransformerParameter', written);
  const [items, channels, height, width] = planesOf(context);
  for (const [field, known] of [
    ['transform_type', 'affine'],
    ['sampler_type', 'bilinear'],
  ] as const)
    if (p[field] !== known)
      context.fail(
        'unsupported',
        `${field} must be "${known}", found "${p[field]}"`,
        positionOf(written, field),
      );
  const [tall, wide] = [p.output_H ?? height, p.output_W ?? width];
  if (tall < 1 || wide < 1)
    context.fail('shape', `output_H and output_W must be at least 1, found ${tall} and ${wide}`, 'st_param');
  const top: Shape = [items, channels, tall, wide];
  checkTop(context, top, 'st_param');
  const given = THETA.map((field) => written?.[field] as number | undefined);
  const theta = context.shapes[1]!;
  const missing = given.filter((value) => value === undefined).length;
  if (theta[0] !== items || elementCount(theta) !== items * missing)
    context.fail(
      'shape',
      `needs the ${missing} values of θ that st_param does not give, for each of ${items} items, found ${showShape(theta)}`,
    );
  const pointShape = [items, 2, tall, wide];
  const places = tall * wide;
  /** The factor of a value of θ at a position: its row, its column, or 1. */
  const factorOf = (k: number, place: number) =>
    [(Math.floor(place / wide) / tall) * 2 - 1, ((place % wide) / wide) * 2 - 1, 1][k % 3]!;
  const halfOf = (k: number) => (k < 3 ? height : width) / 2;
  const points = hostFunction(context, [theta], [pointShape], {
    forward: ([values]) => {
      const made = new Float32Array(elementCount(pointShape));
      for (let item = 0, next = 0; item < items; item++) {
        const whole = given.map((value) => value ?? values!.data[next++]!);
        for (let place = 0; place < places; place++)
          for (const row of [0, 1]) {
            let at = 1;
            for (let k = 3 * row; k < 3 * row + 3; k++) at += whole[k]! * factorOf(k, place);
            // Points are x, y: the column, then the row.
            made[(item * 2 + 1 - row) * places + place] = at * halfOf(3 * row);
          }
      }
      return [made];
    },
    backward: ({ topDiffs: [diff] }) => {
      const made: number[] = [];
      for (let item = 0; item < items; item++)
        for (const [k, value] of given.entries()) {
          if (value !== undefined) continue;
          const plane = (item * 2 + (k < 3 ? 1 : 0)) * places;
          let sum = 0;
          for (let place = 0; place < places; place++)
            sum += diff!.data[plane + place]! * factorOf(k, place) * halfOf(k);
          made.push(sum);
        }
      return [Float32Array.from(made)];
    },
  });
  const layer = new Composition(context.shapes);
  const [x, values] = layer.bottoms as [Part, Part];
  const made = layer.one(
    { kind: 'bilinearSample', relative: false, outside: 'neighbours', slope: 'pixel' },
    [x, layer.one(points, [values], pointShape)],
    top,
    [p.to_compute_dU, true],
  );
  return layer.built([made]);
}
