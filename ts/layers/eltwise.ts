/**
 * Eltwise: the sum, product or maximum of blobs of one shape. With a single blob, as in FlowNet's fork, it applies the sum's
 * coefficient.
 */
import { showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const eltwiseLayers: Layers = {
  Eltwise: { build: eltwise, bottoms: [1, Number.POSITIVE_INFINITY] },
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
  if (context.shapes.length === 1) {
    if (p.operation !== 'SUM')
      context.fail(
        'bottom-count',
        `operation: ${p.operation} takes at least 2 bottoms, found 1; SUM takes one, with its coeff`,
        positionOf(context.layer.eltwise_param, 'operation'),
      );
    return {
      operation: { kind: 'power', power: 1, scale: coefficients[0] ?? 1, shift: 0 },
      tops: [shape],
    };
  }
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
