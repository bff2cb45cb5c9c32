/**
 * Resample and Downsample of Freiburg's fork (github.com/lmb-freiburg/flownet2), which resize images and flows and have
 * no gradient, and ExpMax and NegSquare of LiteFlowNet (github.com/twhui/LiteFlowNet).
 */
import { roundAway } from '../base/numbers.ts';
import { showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { checkSize, type Sources, weightedMeans } from './weighted-means.ts';
import { planesOf } from './window.ts';

export const resampleLayers: Layers = {
  Downsample: { build: downsample, bottoms: [1, 2] },
  ExpMax: { build: expMax },
  NegSquare: { build: negSquare },
  Resample: { build: resample, bottoms: [1, 2] },
};

/** The requested height and width: those of the second bottom, or those in the prototxt. */
function sizeOf(
  context: LayerContext,
  written: Message | undefined,
  fields: readonly [height: string, width: string],
): readonly [height: number, width: number] {
  const like = context.shapes[1];
  if (like !== undefined) {
    if (like.length !== 4)
      context.fail('dimensions', `the second bottom must be N×C×H×W, found ${showShape(like)}`);
    return [like[2]!, like[3]!];
  }
  const [height = 0, width = 0] = fields.map((field) => written?.[field] as number | undefined);
  if (height < 1 || width < 1)
    context.fail(
      'shape',
      `${fields.join(' and ')} must be given and at least 1, or a second bottom of the size; found ${height} and ${width}`,
      positionOf(written, fields[0]) ?? positionOf(written, fields[1]),
    );
  return [height, width];
}

/** Divides weights by their sum; omits weights of 0. */
function overSum(weights: readonly { at: number; weight: number }[]): { at: number; weight: number }[] {
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  return weights.filter(({ weight }) => weight !== 0).map(({ at, weight }) => ({ at, weight: weight / sum }));
}

function separable(
  context: LayerContext,
  size: readonly [height: number, width: number],
  rows: Sources,
  columns: Sources,
): Built {
  const layer = new Composition(context.shapes);
  return layer.built([weightedMeans(context, layer, layer.bottoms[0]!, size, rows, columns)]);
}

/**
 * downsample_layer.cu: corners stay corners, and the weights fall to 0 at the edge of the area that a pixel of the top
 * covers.
 */
function downsample(context: LayerContext): Built {
  const written = context.layer.downsample_param as Message | undefined;
  const [, , height, width] = planesOf(context);
  const size = sizeOf(context, written, ['top_height', 'top_width']);
  checkSize(context, size, 'downsample_param');
  if (size[0] === height && size[1] === width) {
    const layer = new Composition(context.shapes);
    return layer.built([layer.bottoms[0]!]);
  }
  if (Math.min(...size) < 2 || size[0] > height || size[1] > width)
    context.fail(
      'shape',
      `makes maps smaller, down to 2×2; found ${size.join('×')} for ${height}×${width}`,
      positionOf(written, 'top_height'),
    );
  const along = (from: number, to: number): Sources => {
    const scale = Math.fround((from - 1) / (to - 1));
    return Array.from({ length: to }, (_, i) => {
      const middle = Math.fround(Math.fround(i / (to - 1)) * (from - 1));
      const [near, radius] = [roundAway(middle), Math.ceil(scale)];
      return overSum(
        placesAround(near, radius, from).map((at) => ({
          at,
          weight: Math.max(0, 1 - Math.abs(at - middle) / scale),
        })),
      );
    });
  };
  return separable(context, size, along(height, size[0]), along(width, size[1]));
}

const placesAround = (middle: number, radius: number, size: number): number[] =>
  Array.from({ length: 2 * radius + 1 }, (_, i) => middle - radius + i).filter((at) => at >= 0 && at < size);

const FILTERS = {
  LINEAR: { reach: 2, weightAt: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  CUBIC: {
    reach: 4,
    weightAt: (signed: number) => {
      const x = Math.abs(signed);
      if (x <= 1) return x * x * (1.5 * x - 2.5) + 1;
      return x < 2 ? x * (x * (-0.5 * x + 2.5) - 4) + 2 : 0;
    },
  },
} as const;

/**
 * resample_layer.cu. The centres of pixels are aligned if both axes are resized by the same ratio. Otherwise x is
 * shifted by half of y's ratio, and y by half of x's, as in the fork.
 */
function resample(context: LayerContext): Built {
  const written = context.layer.resample_param as Message | undefined;
  const p = withDefaults<{ type: string; antialias: boolean }>('ResampleParameter', written);
  const [, , height, width] = planesOf(context);
  const size = sizeOf(context, written, ['height', 'width']);
  checkSize(context, size, 'resample_param');
  if (p.type === 'AREA')
    context.fail(
      'unsupported',
      'type must be NEAREST, LINEAR or CUBIC, found AREA',
      positionOf(written, 'type'),
    );
  const [byY, byX] = [Math.fround(height / size[0]), Math.fround(width / size[1])];
  const antialias = (byX > 1 || byY > 1) && p.antialias;
  const along = (from: number, to: number, own: number, other: number): Sources =>
    Array.from({ length: to }, (_, i) => {
      const middle = Math.fround(Math.fround(i * own) + Math.fround(Math.fround(other / 2) - 0.5));
      const near = roundAway(middle);
      if (p.type === 'NEAREST') {
        if (near < 0 || near >= from)
          context.fail(
            'shape',
            `NEAREST of ${height}×${width} to ${size.join('×')} reads outside of the bottom, as the ratios differ; use LINEAR`,
            positionOf(written, 'type'),
          );
        return [{ at: near, weight: 1 }];
      }
      const { reach, weightAt } = FILTERS[p.type as keyof typeof FILTERS];
      const sharp = 1 / (antialias ? own : 1);
      const radius = own < 1 ? 2 : Math.ceil(reach / sharp);
      return overSum(
        placesAround(near, radius, from).map((at) => ({ at, weight: weightAt(sharp * (middle - at)) })),
      );
    });
  return separable(context, size, along(height, size[0], byY, byX), along(width, size[1], byX, byY));
}

/** negsquare_layer.cu: −x². */
function negSquare(context: LayerContext): Built {
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [(typeof layer.bottoms)[number]];
  const square = layer.one({ kind: 'power', power: 2, scale: 1, shift: 0 }, [x], x.shape);
  return layer.built([layer.one({ kind: 'power', power: 1, scale: -1, shift: 0 }, [square], x.shape)]);
}

/**
 * expmax_layer.cu: base^(shift + scale · (x − the largest channel at the same position)), whose diff ignores the
 * dependence on the largest one. The fork computes it for the first item only; here each item has its own.
 */
function expMax(context: LayerContext): Built {
  const written = context.layer.expmax_param as Message | undefined;
  const p = withDefaults<{ base: number; scale: number; shift: number }>('ExpMaxParameter', written);
  const [items, channels, height, width] = planesOf(context);
  if (p.base !== -1 && !(p.base > 0))
    context.fail('base', `base must be above 0, or -1 for e, found ${p.base}`, positionOf(written, 'base'));
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [(typeof layer.bottoms)[number]];
  const places = height * width;
  const largest = layer.one(
    { kind: 'argMax', outer: items, channels, inner: places, topK: 1, what: 'values' },
    [x],
    [items, 1, height, width],
    [false],
  );
  const below = layer.one({ kind: 'power', power: 1, scale: -1, shift: 0 }, [largest], largest.shape);
  const shifted = layer.sum([x, layer.repeat(below, 1, channels)]);
  const log = p.base === -1 ? 1 : Math.log(p.base);
  return layer.built([
    layer.one({ kind: 'exp', inner: p.scale * log, outer: Math.exp(p.shift * log) }, [shifted], x.shape),
  ]);
}
