/**
 * MultiStageMeanfield of CRF-RNN (github.com/torrvision/crfasrnn, multi_stage_meanfield.cpp and
 * meanfield_iteration.cpp; arXiv:1502.03240, algorithm 1): iterations of mean-field inference, each a softmax, two
 * Gaussian filters and three products with matrices.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import type { Operation } from './operation.ts';
import { type GaussianFilter, gaussianFilter } from './permutohedral.ts';

export const meanFieldLayers: Layers = { MultiStageMeanfield: { build: meanField, bottoms: [3, 3] } };

interface MeanFieldParameter {
  readonly num_iterations: number;
  readonly theta_alpha: number;
  readonly theta_beta: number;
  readonly theta_gamma: number;
  readonly spatial_filter_weight: number;
  readonly bilateral_filter_weight: number;
}

/** bottoms: the scores of the classes, where the first iteration begins (the same scores), and the image. */
function meanField(context: LayerContext): Built {
  const written = context.layer.multi_stage_meanfield_param;
  const p = withDefaults<MeanFieldParameter>('MultiStageMeanfieldParameter', written);
  check(context, p);
  const [items, classes, height, width] = context.shapes[0] as [number, number, number, number];
  const shape: Shape = [items, classes, height, width];
  const pixels = height * width;
  const layer = new Composition(context.shapes);
  const [scores, first, image] = layer.bottoms as [Part, Part, Part];
  const weights = (value: number) =>
    matrix(context, layer, items, classes, {
      type: 'diagonal',
      diag_val: Array.from({ length: classes }, () => value),
    });
  const ofPlaces = weights(p.spatial_filter_weight);
  const ofColours = weights(p.bilateral_filter_weight);
  const compatibility = weights(-1);
  const times = (by: Part, x: Part) =>
    layer.one(
      {
        kind: 'matrixProduct',
        batches: items,
        rows: classes,
        columns: pixels,
        depth: classes,
        transposeFirst: false,
        transposeSecond: false,
      },
      [by, x],
      shape,
    );
  const messages = messagesOf(context, p);
  let now = first;
  for (let iteration = 0; iteration < p.num_iterations; iteration++) {
    const shares = layer.one(
      { kind: 'softmax', outer: items, channels: classes, inner: pixels },
      [now],
      shape,
    );
    const [near, alike] = layer.add(messages, [shares, image], [shape, shape], [true, false]) as [Part, Part];
    const message = layer.sum([times(ofPlaces, near), times(ofColours, alike)]);
    now = layer.one(
      { kind: 'eltwise', operation: 'sum', coefficients: [1, -1], stableProdGrad: true, relu: null },
      [scores, times(compatibility, message)],
      shape,
    );
  }
  return layer.built([now]);
}

/** The layer's next matrix, one for each item. */
function matrix(
  context: LayerContext,
  layer: Composition,
  items: number,
  classes: number,
  filler: object,
): Part {
  const blob = context.parameter([classes, classes], filler);
  const one = layer.one({ kind: 'parameter', blob }, [], [classes, classes]);
  return layer.repeat(layer.reshape(one, [1, classes, classes]), 0, items);
}

function check(context: LayerContext, p: MeanFieldParameter): void {
  const written = context.layer.multi_stage_meanfield_param;
  const [scores, first, image] = context.shapes as [Shape, Shape, Shape];
  const [items = 0, , height = 0, width = 0] = scores;
  if (scores.length !== 4 || showShape(scores) !== showShape(first))
    context.fail(
      'shape',
      `takes scores N×C×H×W twice and the image, found ${context.shapes.map(showShape).join(', ')}`,
    );
  if (showShape(image) !== showShape([items, 3, height, width]))
    context.fail(
      'shape',
      `the third bottom must be the image that the scores belong to, ${items}×3×${height}×${width}, found ${showShape(image)}`,
    );
  if (p.num_iterations < 2)
    context.fail(
      'range',
      `num_iterations must be above 1, found ${p.num_iterations}`,
      positionOf(written, 'num_iterations') ?? 'multi_stage_meanfield_param',
    );
  for (const field of ['theta_alpha', 'theta_beta', 'theta_gamma'] as const)
    if (!(p[field] > 0))
      context.fail('range', `${field} must be above 0, found ${p[field]}`, positionOf(written, field));
}

/**
 * Both filters' results over those of 1: of pixels that are near, and of those that are near and have alike colours.
 */
function messagesOf(context: LayerContext, p: MeanFieldParameter): Operation {
  const [items, classes, height, width] = context.shapes[0] as [number, number, number, number];
  const pixels = height * width;
  const shape: Shape = [items, classes, height, width];
  const image: Shape = [items, 3, height, width];
  const place = (made: Float32Array, dimensions: number, theta: number) => {
    for (let pixel = 0; pixel < pixels; pixel++) {
      made[dimensions * pixel] = (pixel % width) / theta;
      made[dimensions * pixel + 1] = Math.floor(pixel / width) / theta;
    }
  };
  let near: NormalisedFilter | undefined;
  const nearby = () => {
    if (near === undefined) {
      const features = new Float32Array(2 * pixels);
      place(features, 2, p.theta_gamma);
      near = normalised(gaussianFilter(features, 2), pixels);
    }
    return near;
  };
  /** The filters of the last images: all iterations and the backward pass have the same. */
  let last: { readonly images: Float32Array; readonly filters: readonly NormalisedFilter[] } | undefined;
  const alike = (images: Float32Array) => {
    if (last === undefined || images.some((value, i) => value !== last!.images[i])) {
      const filters = Array.from({ length: items }, (_, item) => {
        const features = new Float32Array(5 * pixels);
        place(features, 5, p.theta_alpha);
        for (let pixel = 0; pixel < pixels; pixel++)
          for (let c = 0; c < 3; c++)
            features[5 * pixel + 2 + c] = images[(3 * item + c) * pixels + pixel]! / p.theta_beta;
        return normalised(gaussianFilter(features, 5), pixels);
      });
      last = { images: images.slice(), filters };
    }
    return last.filters;
  };
  const own = (values: Float32Array, item: number) =>
    values.subarray(item * classes * pixels, (item + 1) * classes * pixels);
  return hostFunction(context, [shape, image], [shape, shape], {
    forward: ([shares, images]) => {
      const made = [new Float32Array(elementCount(shape)), new Float32Array(elementCount(shape))];
      alike(images!.data).forEach((filter, item) => {
        const from = own(shares!.data, item);
        made[0]!.set(nearby().forward(from, classes), item * classes * pixels);
        made[1]!.set(filter.forward(from, classes), item * classes * pixels);
      });
      return made;
    },
    backward: ({ bottoms: [, images], topDiffs: [ofNear, ofAlike] }) => {
      const made = new Float32Array(elementCount(shape));
      alike(images!.data).forEach((filter, item) => {
        const sum = nearby().backward(own(ofNear!.data, item), classes);
        filter.backward(own(ofAlike!.data, item), classes).forEach((value, i) => {
          sum[i]! += value;
        });
        made.set(sum, item * classes * pixels);
      });
      return [made, null];
    },
  });
}

interface NormalisedFilter {
  readonly forward: (values: Float32Array, channels: number) => Float32Array;
  readonly backward: (diff: Float32Array, channels: number) => Float32Array;
}

/** A filter, and then each pixel over what the filter makes of 1. */
function normalised(filter: GaussianFilter, pixels: number): NormalisedFilter {
  const norms = filter.apply(new Float32Array(pixels).fill(1), 1).map((value) => 1 / (value + 1e-20));
  const scaled = (values: Float32Array) => values.map((value, i) => value * norms[i % pixels]!);
  return {
    forward: (values, channels) => scaled(filter.apply(values, channels)),
    backward: (diff, channels) => filter.apply(scaled(diff), channels, true),
  };
}
