/** What to plan for the training of a net without a solver. */

import { ArgumentError } from '../base/errors.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { isLossType } from '../layers/index.ts';
import { completeUpdate } from './train-options.ts';

/** SGD with momentum: one history per learnable blob, as with Nesterov, AdaGrad and RMSProp; Adam and AdaDelta have two. */
export const SGD_UPDATE = completeUpdate({ type: 'SGD', momentum: 0.9, weight_decay: 1e-4 });

/**
 * Gives a net a loss: a net with a loss stays unchanged; in a deploy net, SoftmaxWithLoss and a label replace the last
 * Softmax.
 * @throws ArgumentError if it has neither
 */
export function withLoss(net: NetParameter): NetParameter {
  const layers = net.layer ?? [];
  if (layers.some(({ type = '', loss_weight = [] }) => isLossType(type) || loss_weight.length > 0))
    return net;
  const last = layers.at(-1);
  const first = layers.find(({ type }) => type === 'Input');
  const { shape } = (first?.input_param ?? {}) as { shape?: readonly { dim?: readonly number[] }[] };
  const batch = shape?.[0]?.dim?.[0];
  if (last?.type !== 'Softmax' || batch === undefined)
    throw new ArgumentError(
      '--train',
      'a net with a loss, or one from an Input layer to a Softmax',
      net.name ?? 'another',
    );
  return {
    ...net,
    layer: [
      { name: 'label', type: 'Input', top: ['label'], input_param: { shape: [{ dim: [batch] }] } },
      ...layers.slice(0, -1),
      { name: 'loss', type: 'SoftmaxWithLoss', bottom: [...(last.bottom ?? []), 'label'], top: ['loss'] },
    ],
  };
}
