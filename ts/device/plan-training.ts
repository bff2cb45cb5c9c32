/** What to plan where a net is to be trained and no solver says how. */

import { ArgumentError } from '../base/errors.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { isLossType } from '../layers/index.ts';
import type { UpdateRule } from './trainer.ts';

/** SGD with momentum: one history a learnable blob, as Nesterov, AdaGrad and RMSProp; Adam and AdaDelta have two. */
export const SGD_UPDATE: UpdateRule = {
  type: 'SGD',
  momentum: 0.9,
  momentum2: 0.999,
  delta: 1e-8,
  rms_decay: 0.99,
  clip_gradients: null,
  iter_size: 1,
  weight_decay: 1e-4,
  regularization_type: 'L2',
};

/**
 * A net with a loss: as it is where it has one, and with SoftmaxWithLoss and a label in the place of the Softmax that a
 * deploy net ends in.
 * @throws ArgumentError where it has neither
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
