/**
 * DataAugmentation of Freiburg's fork (github.com/lmb-freiburg/flownet2, data_augmentation_layer.cu; also in PWC-Net's
 * and LiteFlowNet's) as nets in use have it: the middle of images, minus the mean that training measured.
 */
import { type Shape, showShape } from '../base/shape.ts';
import { warn } from '../base/warn.ts';
import { augmentationFields } from '../caffe/flow-schema.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { checkSize, type Sources, weightedMeans } from './weighted-means.ts';
import { planesOf } from './window.ts';

export const augmentationLayers: Layers = {
  DataAugmentation: { build: dataAugmentation, bottoms: [1, 2], tops: [1, 2] },
};

interface AugmentationParameter {
  readonly crop_width?: number;
  readonly crop_height?: number;
  readonly augment_during_test: boolean;
  readonly recompute_mean: number;
  readonly mean_per_pixel: boolean;
  readonly mean?: readonly number[];
}

function dataAugmentation(context: LayerContext): Built {
  const written = context.layer.augmentation_param;
  const p = withDefaults<AugmentationParameter>('AugmentationParameter', written);
  const [items, channels, height, width] = planesOf(context);
  refuseRandom(context, p);
  const cropped = p.crop_width !== undefined && p.crop_height !== undefined;
  const [tall, wide] = cropped ? [p.crop_height!, p.crop_width!] : [height, width];
  if (tall < 1 || wide < 1 || tall > height || wide > width)
    context.fail(
      'shape',
      `crop_height and crop_width must be from 1 to the image's size, found ${tall} and ${wide} for ${showShape(context.shapes[0]!)}`,
      positionOf(written, 'crop_height'),
    );
  if (cropped) checkSize(context, [tall, wide], 'augmentation_param');
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  const middle = cropped
    ? weightedMeans(context, layer, x, [tall, wide], around(height, tall), around(width, wide))
    : x;
  const mean = meanOf(context, layer, p, [channels, tall, wide]);
  if (mean === null) {
    const means = p.mean ?? [];
    if (means.length > 0 && (p.mean_per_pixel || means.length !== 3))
      warn(
        'graph/unread-mean',
        `layer "${context.layer.name ?? ''}" (DataAugmentation): nothing is subtracted, because the fork reads mean only with mean_per_pixel: false and 3 values`,
      );
    return layer.built([p.mean_per_pixel ? middle : withoutMeans(context, layer, middle, means)]);
  }
  const perPixel = mean.shape.length > 1;
  return layer.built([
    layer.one(
      {
        kind: 'scale',
        operand: 'bias',
        scale: null,
        bias: null,
        outer: items,
        channels: perPixel ? channels * tall * wide : channels,
        inner: perPixel ? 1 : tall * wide,
      },
      [middle, layer.reshape(mean, [mean.shape.reduce((a, b) => a * b)])],
      middle.shape,
      [false, false],
    ),
  ]);
}

/** Refuses what draws random numbers, and the coefficients that such layers hand to one another. */
function refuseRandom(context: LayerContext, p: AugmentationParameter): void {
  const written = context.layer.augmentation_param;
  if (context.state.phase === 'TRAIN')
    context.fail(
      'unsupported',
      `in phase TRAIN it augments images at random and measures their mean, which is not supported; run the net in phase TEST, or remove the layer and give its top, "${context.layer.top?.[0] ?? ''}", as an input`,
    );
  if (context.shapes.length > 1 || context.topCount > 1)
    context.fail(
      context.shapes.length > 1 ? 'bottom-count' : 'top-count',
      'coefficients of an augmentation (a second bottom or top) are not supported; remove them: in phase TEST they only crop images',
    );
  const random = augmentationFields.find((field) => written?.[field] !== undefined);
  if (p.augment_during_test && random !== undefined)
    context.fail(
      'unsupported',
      `augment_during_test: true with ${random} augments images at random, which is not supported; write augment_during_test: false`,
      positionOf(written, 'augment_during_test'),
    );
}

/**
 * SpatialAugmentation with coefficients that change nothing: a place of the top is as far from the middle as in the
 * bottom, and no farther to the right than 1.05 pixels from the edge, because the pixel behind it is read, too.
 */
function around(from: number, to: number): Sources {
  const most = Math.fround(from - Math.fround(1.05));
  return Array.from({ length: to }, (_, i) => {
    const place = Math.max(0, Math.min(most, i + (from - to) / 2));
    const at = Math.floor(place);
    const next = place - at;
    return next === 0
      ? [{ at, weight: 1 }]
      : [
          { at, weight: 1 - next },
          { at: at + 1, weight: next },
        ];
  });
}

/** Without the means that the prototxt gives, which count if they are three. */
function withoutMeans(context: LayerContext, layer: Composition, x: Part, means: readonly number[]): Part {
  if (means.length !== 3) return x;
  const [items, channels, ...size] = x.shape as [number, number, number, number];
  if (channels !== 3)
    context.fail(
      'shape',
      `mean has 3 values, the image has ${channels} channels`,
      positionOf(context.layer.augmentation_param, 'mean'),
    );
  const plane = [items, 1, ...size];
  const planes = layer.add({ kind: 'slice', axis: 1 }, [x], [plane, plane, plane]);
  const moved = planes.map((each, i) =>
    layer.one({ kind: 'power', power: 1, scale: 1, shift: -means[i]! }, [each], plane),
  );
  return layer.one({ kind: 'concat', axis: 1 }, moved, x.shape);
}

/**
 * What is added: minus the mean of each channel, [C], or of each pixel, [C, H, W], as training measured it; null: it
 * measured none.
 */
function meanOf(
  context: LayerContext,
  layer: Composition,
  p: AugmentationParameter,
  [channels, height, width]: readonly [number, number, number],
): Part | null {
  context.parameter([1, 1, 1, 1], undefined, { statistic: true, unread: true });
  if (p.recompute_mean > 0) {
    const pixels: Shape = [1, channels, height, width];
    const ofPixels = context.parameter(pixels, undefined, { statistic: true, unread: !p.mean_per_pixel });
    const ofChannels = context.parameter([1, channels, 1, 1], undefined, {
      statistic: true,
      unread: p.mean_per_pixel,
    });
    const [blob, shape] = p.mean_per_pixel
      ? [ofPixels, pixels]
      : ([ofChannels, [1, channels, 1, 1]] as const);
    const mean = layer.one({ kind: 'parameter', blob }, [], shape);
    const negative = layer.one({ kind: 'power', power: 1, scale: -1, shift: 0 }, [mean], shape);
    return layer.reshape(negative, p.mean_per_pixel ? [channels, height, width] : [channels]);
  }
  return null;
}
