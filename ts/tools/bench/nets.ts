/** The benchmark's nets, by name. */
import { resnet } from '../../architectures/resnet.ts';
import { trainingNet } from '../../architectures/training-net.ts';
import { ArgumentError } from '../../base/errors.ts';
import { filterNet, type NetParameter } from '../../caffe/net-parameter.ts';

export interface BenchNet {
  readonly name: string;
  readonly net: NetParameter;
  /** C×H×W of the input "data". */
  readonly input: readonly [channels: number, height: number, width: number];
}

const IMAGENET = [3, 224, 224] as const;
const CIFAR = [3, 32, 32] as const;
const NETS: Readonly<Record<string, { depth: number; input: BenchNet['input'] }>> = {
  'ResNet-18': { depth: 18, input: IMAGENET },
  'ResNet-34': { depth: 34, input: IMAGENET },
  'ResNet-50': { depth: 50, input: IMAGENET },
  'ResNet-101': { depth: 101, input: IMAGENET },
  'ResNet-152': { depth: 152, input: IMAGENET },
  'CIFAR-20': { depth: 20, input: CIFAR },
  'CIFAR-56': { depth: 56, input: CIFAR },
  'CIFAR-110': { depth: 110, input: CIFAR },
};

export const benchNetNames: readonly string[] = Object.keys(NETS);

/** @throws ArgumentError for a name that is not in `benchNetNames` */
export function benchNet(name: string): BenchNet {
  const known = Object.hasOwn(NETS, name) ? NETS[name] : undefined;
  if (known === undefined) throw new ArgumentError('nets', `names out of ${benchNetNames.join(', ')}`, name);
  return { name, net: resnet({ depth: known.depth }), input: known.input };
}

/**
 * The net for training: input and labels come from the Input layers "data" and "label", BatchNorm uses the batch, and the
 * net ends in a loss.
 */
export function asTraining({ name, net, input }: BenchNet): BenchNet {
  const shape = [{ dim: [1, ...input] }, { dim: [1] }];
  const data = { name: 'data', type: 'Input', top: ['data', 'label'], input_param: { shape } };
  return { name, net: filterNet(trainingNet(net, { data: [data] }), { phase: 'TRAIN' }), input };
}

/** The net with another first dimension in its Input layers, for tools that read it only from the file. */
export function withBatch(net: NetParameter, batch: number): NetParameter {
  const layer = (net.layer ?? []).map((each) => {
    const { shape: shapes } = (each.input_param ?? {}) as { shape?: readonly { dim?: readonly number[] }[] };
    const shape = shapes?.map(({ dim = [] }) => ({ dim: [batch, ...dim.slice(1)] }));
    return shape === undefined ? each : { ...each, input_param: { shape } };
  });
  return { ...net, layer };
}
