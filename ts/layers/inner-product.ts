/**
 * InnerProduct. In happynear's fork (github.com/happynear/caffe-windows) a bottom may hold the weights, and another one
 * the bias. With `normalize`, each row of the weights has length 1, as in NormFace and AM-Softmax (arXiv:1704.06369,
 * 1801.05599).
 */
import { elementCount, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import { type ParameterId, unfused } from './operation.ts';
import { lengthsOfRows, unitRows } from './unit-length.ts';

export const innerProductLayers: Layers = {
  InnerProduct: { build: innerProduct, bottoms: [1, 3] },
};

interface InnerProductParameter {
  readonly num_output?: number;
  readonly bias_term: boolean;
  readonly axis: number;
  readonly transpose: boolean;
  readonly normalize: boolean;
  readonly weight_filler?: object;
  readonly bias_filler?: object;
}

/** Added to the sum of squares of a row before it is divided by its length. */
const EPS = 1e-6;

/** inner_product_layer.cpp */
function innerProduct(context: LayerContext): Built {
  const p = withDefaults<InnerProductParameter>('InnerProductParameter', context.layer.inner_product_param);
  const shape = context.shapes[0]!;
  const axis = canonicalAxis(context, p.axis, shape.length);
  const depth = elementCount(shape.slice(axis));
  if (context.shapes.length > 1) return productOfBottoms(context, p, axis, depth);
  const outputs = p.num_output ?? 0;
  if (outputs < 1) context.fail('num-output', 'num_output must be given and at least 1');
  if (p.normalize && p.transpose)
    context.fail(
      'unsupported',
      'normalize with transpose makes pieces of columns into vectors of length 1 in the fork; write the weights without transpose',
      positionOf(context.layer.inner_product_param, 'normalize'),
    );
  const weights = context.parameter(p.transpose ? [depth, outputs] : [outputs, depth], p.weight_filler);
  const bias = p.bias_term ? context.parameter([outputs], p.bias_filler) : null;
  const top = [...shape.slice(0, axis), outputs];
  if (p.normalize) return productOfUnits(context, weights, bias, axis, depth, top);
  return {
    operation: {
      kind: 'innerProduct',
      weights,
      bias,
      axis,
      numOutput: outputs,
      transpose: p.transpose,
      ...unfused,
    },
    tops: [top],
  };
}

/** The bias is the third bottom, if there are three, or a blob. */
function productOfBottoms(
  context: LayerContext,
  p: InnerProductParameter,
  axis: number,
  depth: number,
): Built {
  const [shape, weights, given] = context.shapes;
  const outputs = weights![0] ?? 1;
  if (elementCount(weights!) !== outputs * depth)
    context.fail(
      'shape',
      `the second bottom holds the weights, a row of ${depth} values for each output, found ${showShape(weights!)}`,
    );
  if (given !== undefined && elementCount(given) !== outputs)
    context.fail('shape', `the third bottom holds the bias, ${outputs} values, found ${showShape(given)}`);
  const layer = new Composition(context.shapes);
  const [x, rows, bias] = layer.bottoms as [Part, Part, Part | undefined];
  const top = [...shape!.slice(0, axis), outputs];
  const product = layer.one(
    {
      kind: 'matrixProduct',
      batches: 1,
      rows: elementCount(shape!) / depth,
      columns: outputs,
      depth,
      transposeFirst: false,
      transposeSecond: !p.transpose,
    },
    [x, rows],
    top,
  );
  if (!p.bias_term) return layer.built([product]);
  return layer.built([
    bias === undefined
      ? withBias(layer, product, context.parameter([outputs], p.bias_filler))
      : layer.one({ ...rowsOf(product, 'bias'), scale: null, bias: null }, [product, bias], top),
  ]);
}

/**
 * The fork divides the blob's rows by their lengths in place when it runs, and its diff is that of the divided rows.
 * During training they are divided here, too; otherwise the products are divided instead.
 */
function productOfUnits(
  context: LayerContext,
  weights: ParameterId,
  bias: ParameterId | null,
  axis: number,
  depth: number,
  top: readonly number[],
): Built {
  const layer = new Composition(context.shapes);
  const [x] = layer.bottoms as [Part];
  const outputs = top.at(-1)!;
  const rows = layer.one({ kind: 'parameter', blob: weights }, [], [outputs, depth]);
  const isLearning = context.state.phase === 'TRAIN';
  const product = isLearning
    ? layer.one(
        {
          kind: 'matrixProduct',
          batches: 1,
          rows: elementCount(x.shape) / depth,
          columns: outputs,
          depth,
          transposeFirst: false,
          transposeSecond: true,
        },
        [x, unitRows(context, layer, rows, EPS)],
        top,
      )
    : layer.one(
        {
          ...rowsOf({ ...x, shape: top }, 'scale'),
          scale: null,
          bias: null,
        },
        [
          layer.one(
            {
              kind: 'innerProduct',
              weights,
              bias: null,
              axis,
              numOutput: outputs,
              transpose: false,
              ...unfused,
            },
            [x],
            top,
          ),
          lengthsOfRows(layer, rows, { power: -0.5, eps: EPS }),
        ],
        top,
      );
  return layer.built([bias === null ? product : withBias(layer, product, bias)]);
}

const withBias = (layer: Composition, product: Part, bias: ParameterId): Part =>
  layer.one({ ...rowsOf(product, 'none'), scale: null, bias }, [product], product.shape);

/** Repeats one number for each value of the last axis. */
const rowsOf = ({ shape }: Part, operand: 'none' | 'scale' | 'bias') =>
  ({
    kind: 'scale',
    operand,
    outer: elementCount(shape.slice(0, -1)),
    channels: shape.at(-1)!,
    inner: 1,
  }) as const;
