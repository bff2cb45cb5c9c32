/**
 * Products with the weights of classes, where the product with an item's own class is reduced, so that features learn
 * to keep a margin: LargeMarginInnerProduct (github.com/wy1iu/LargeMargin_Softmax_Loss, arXiv:1612.02295) and
 * MarginInnerProduct of SphereFace, whose weights have length 1 (github.com/wy1iu/sphereface, arXiv:1704.08063).
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import { classesOf } from './labels.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import { unitRows } from './unit-length.ts';

export const marginProducts: Layers = {
  LargeMarginInnerProduct: { build: largeMarginProduct, bottoms: [2, 2], tops: [1, 2] },
  MarginInnerProduct: { build: marginProduct, bottoms: [2, 2], tops: [1, 2] },
};

interface MarginParameter {
  readonly num_output?: number;
  readonly type: keyof typeof MARGINS;
  readonly weight_filler?: object;
  readonly axis: number;
  readonly base: number;
  readonly gamma: number;
  readonly power: number;
  readonly iteration: number;
  readonly lambda_min: number;
}

/** ψ(θ) = (−1)^k cos mθ − 2k for θ from kπ/m to (k + 1)π/m, and its slope with respect to cos θ. */
type Margin = (cosine: number) => readonly [value: number, slope: number];

/** `type`, m from 1 to 4, as polynomials with the signs from which the forks compute k. */
const MARGINS = {
  SINGLE: null,
  DOUBLE: (c: number) => {
    const sign = Math.sign(c);
    return [2 * sign * c ** 2 - 1, 4 * sign * c];
  },
  TRIPLE: (c: number) => {
    const sign = Math.sign(Math.abs(c) - 0.5);
    return [sign * (4 * c ** 3 - 3 * c) + Math.sign(c) * (1 + sign) - 2, sign * (12 * c ** 2 - 3)];
  },
  QUADRUPLE: (c: number) => {
    const sign = Math.sign(c) * Math.sign(2 * c ** 2 - 1);
    const value = sign * (8 * c ** 4 - 8 * c ** 2 + 1) + 2 * Math.sign(c) + sign - 3;
    return [value, sign * (32 * c ** 3 - 16 * c)];
  },
} as const satisfies Record<string, Margin | null>;

/** largemargin_inner_product_layer.cpp: |x||w|ψ(θ), and its gradient. */
function largeMarginProduct(context: LayerContext): Built {
  return build(context, 'largemargin_inner_product_param', false);
}

/** margin_inner_product_layer.cpp: |x|ψ(θ). */
function marginProduct(context: LayerContext): Built {
  return build(context, 'margin_inner_product_param', true);
}

/** Added to |x||w| before a product is divided by it. */
const EPS = 1e-9;

/**
 * (λ · product + margin) / (1 + λ) for an item's own class, and the product for the others. The forks count forward
 * passes and lower λ with each.
 * @param isUnit The rows of the weights are divided by their lengths. Then, for an item's own class, the diff of x is a
 * vector of length 1 (times the top's diff), and that of w is the diff of the plain product, as in SphereFace's code.
 */
function build(
  context: LayerContext,
  field: 'largemargin_inner_product_param' | 'margin_inner_product_param',
  isUnit: boolean,
): Built {
  const written = context.layer[field];
  const p = withDefaults<MarginParameter>('MarginInnerProductParameter', written);
  const [shape, labels] = context.shapes as [Shape, Shape];
  const axis = canonicalAxis(context, p.axis, shape.length);
  const [items, depth] = [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))];
  const classes = p.num_output ?? 0;
  if (classes < 1)
    context.fail(
      'num-output',
      'num_output, the classes, must be given and at least 1',
      positionOf(written, 'num_output') ?? field,
    );
  if (elementCount(labels) !== items)
    context.fail('shape', `needs a label for each of ${items} items, found ${showShape(labels)}`);
  const blob = context.parameter([classes, depth], p.weight_filler);
  const layer = new Composition(context.shapes);
  const [x, label] = layer.bottoms as [Part, Part];
  const rows = layer.one({ kind: 'parameter', blob }, [], [classes, depth]);
  const w = isUnit ? unitRows(context, layer, rows, 0) : rows;
  const top = [...shape.slice(0, axis), classes];
  const products = layer.one(
    {
      kind: 'matrixProduct',
      batches: 1,
      rows: items,
      columns: classes,
      depth,
      transposeFirst: false,
      transposeSecond: true,
    },
    [x, w],
    top,
  );
  let iteration = p.iteration + context.state.passesBefore;
  const margin = MARGINS[p.type];
  const own = (blobs: readonly { readonly data: Float32Array }[]) =>
    ownProducts(
      blobs.map(({ data }) => data) as [Float32Array, Float32Array, Float32Array, Float32Array],
      classes,
      isUnit ? 0 : EPS,
    );
  const operation = hostFunction(context, [top, shape, w.shape, labels], [top, [1]], {
    forward: (blobs) => {
      iteration++;
      const lambda = Math.max(p.base * (1 + p.gamma * iteration) ** -p.power, p.lambda_min);
      const made = blobs[0]!.data.slice();
      // The labels are read even where they make no difference, so that invalid ones are found.
      for (const { at, lengths, cosine } of own(blobs))
        if (margin !== null)
          made[at] = (lambda * made[at]! + lengths[0] * lengths[1] * margin(cosine)[0]) / (1 + lambda);
      return [made, Float32Array.of(lambda)];
    },
    backward: ({ bottoms: blobs, tops: [, made], topDiffs: [diff] }) => {
      const lambda = made!.data[0]!;
      const ofProducts = diff!.data.slice();
      const [ofX, ofW] = [blobs[1]!, blobs[2]!].map(({ data }) => new Float32Array(data.length)) as [
        Float32Array,
        Float32Array,
      ];
      if (margin === null) return [ofProducts, ofX, isUnit ? null : ofW, null];
      for (const { at, x: fromX, w: fromW, lengths, cosine } of own(blobs)) {
        const down = diff!.data[at]! / (1 + lambda);
        const [value, slope] = margin(cosine);
        // The gradient of |x||w|ψ is ψ′·w + alongX·x by x, and ψ′·x + alongW·w by w.
        const rest = value - cosine * slope;
        const [alongX, alongW] = [(rest * lengths[1]) / lengths[0], (rest * lengths[0]) / lengths[1]];
        const [xs, ws] = [blobs[1]!.data, blobs[2]!.data];
        if (isUnit) {
          const length = Math.hypot(slope, alongX);
          for (let k = 0; k < depth; k++)
            ofX[fromX + k]! +=
              down * ((slope / length - 1) * ws[fromW + k]! + (alongX / length) * xs[fromX + k]!);
          continue;
        }
        ofProducts[at] = down * (lambda + slope);
        for (let k = 0; k < depth; k++) {
          ofX[fromX + k]! += down * alongX * xs[fromX + k]!;
          ofW[fromW + k]! += down * alongW * ws[fromW + k]!;
        }
      }
      return [ofProducts, ofX, isUnit ? null : ofW, null];
    },
  });
  const made = layer.add(operation, [products, x, w, label], [top, [1]], [true, true, !isUnit, false]);
  return layer.built(made.slice(0, context.topCount));
}

/** The product with an item's own class: its index, the indices at which x and w begin, and their lengths. */
interface OwnProduct {
  readonly at: number;
  readonly x: number;
  readonly w: number;
  readonly lengths: readonly [x: number, w: number];
  readonly cosine: number;
}

function ownProducts(
  [products, x, w, labels]: readonly [Float32Array, Float32Array, Float32Array, Float32Array],
  classes: number,
  eps: number,
): OwnProduct[] {
  const depth = w.length / classes;
  const lengthAt = (values: Float32Array, from: number) => {
    let sum = 0;
    for (let k = from; k < from + depth; k++) sum += values[k]! * values[k]!;
    return Math.sqrt(sum);
  };
  return Array.from(classesOf(labels, classes), (found, item) => {
    const [at, fromX, fromW] = [item * classes + found, item * depth, found * depth];
    const lengths = [lengthAt(x, fromX), lengthAt(w, fromW)] as const;
    return { at, x: fromX, w: fromW, lengths, cosine: products[at]! / (lengths[0] * lengths[1] + eps) };
  });
}
