/** Eltwise: the sum, product or maximum of blobs of one shape. */
import { showShape } from '../base/shape.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const eltwiseLayers: Layers = {
  Eltwise: { build: eltwise, bottoms: [2, Number.POSITIVE_INFINITY] },
};

function eltwise(context: LayerContext): Built {
  const p = withDefaults<{
    operation: 'PROD' | 'SUM' | 'MAX';
    coeff?: number[];
    stable_prod_grad: boolean;
  }>('EltwiseParameter', context.layer.eltwise_param);
  const names = context.layer.bottom ?? [];
  const shape = context.shapes[0]!;
  context.shapes.forEach((other, i) => {
    if (showShape(other) !== showShape(shape))
      context.fail(
        'shape',
        `inputs differ: ${names[0]} is ${showShape(shape)}, ${names[i]} is ${showShape(other)}`,
      );
  });
  const coefficients = p.coeff ?? [];
  if (coefficients.length > 0 && coefficients.length !== context.shapes.length) {
    context.fail(
      'coefficients',
      `${context.shapes.length} bottoms need as many coeff, or none; found ${coefficients.length}`,
    );
  }
  if (coefficients.length > 0 && p.operation === 'PROD')
    context.fail('coefficients', 'coeff is only for operation: SUM');
  return {
    operation: {
      kind: 'eltwise',
      operation: p.operation.toLowerCase() as 'sum' | 'prod' | 'max',
      coefficients: context.shapes.map((_, i) => coefficients[i] ?? 1),
      stableProdGrad: p.stable_prod_grad,
      relu: null,
    },
    tops: [shape],
  };
}
