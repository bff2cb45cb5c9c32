/**
 * The names of a ResNet's variables in TensorFlow for each branch of a block: those of ry/tensorflow-resnet, which
 * ported MSRA's nets (resnet.py, convert.py), and of resnet_v1 of TF-Slim (nets/resnet_v1.py).
 */
import type { Branch, Convolution } from '../../architectures/residual-net.ts';

export interface VariableNames {
  readonly weights: string;
  readonly gamma: string;
  readonly beta: string;
  readonly mean: string;
  readonly variance: string;
}

/** The variables of a convolution in its scope, and those of its BatchNorm in `norm`. */
export const variablesOf = (scope: string, norm = scope): VariableNames => ({
  weights: `${scope}/weights`,
  gamma: `${norm}/gamma`,
  beta: `${norm}/beta`,
  mean: `${norm}/moving_mean`,
  variance: `${norm}/moving_variance`,
});

/** The properties of a net that determine how the port names its stages and branches. */
export interface PortForm {
  /** A net for CIFAR, whose first stage of blocks is in scale1, too. */
  readonly isSmall: boolean;
  readonly isBottleneck: boolean;
}

export function portScope(place: Convolution['place'], { isSmall, isBottleneck }: PortForm): string {
  if (place === null) return 'scale1';
  const { stage, block, branch } = place;
  const letter = branch === '1' ? 'shortcut' : branch.slice(1);
  return `scale${stage + (isSmall ? 1 : 2)}/block${block + 1}/${isBottleneck || branch === '1' ? letter : letter.toUpperCase()}`;
}

const SLIM: Readonly<Record<Branch, string>> = {
  '1': 'shortcut',
  '2a': 'conv1',
  '2b': 'conv2',
  '2c': 'conv3',
};

/** @param root For example `resnet_v1_50`. */
export function slimScope(place: Convolution['place'], root: string): string {
  if (place === null) return `${root}/conv1`;
  return `${root}/block${place.stage + 1}/unit_${place.block + 1}/bottleneck_v1/${SLIM[place.branch]}`;
}

const LAYER = /^(?:res|bn|scale)(\d)([a-z]|b\d{1,4})_branch(1|2[abc])$/;

/** The place of a layer with one of MSRA's names (conv1, res2a_branch2a, bn3b7_branch1, …); undefined for other names. */
export function placeOf(layer: string): Convolution['place'] | undefined {
  if (/^(?:bn_|scale_)?conv1$/.test(layer)) return null;
  const [, stage, letters = '', branch] = LAYER.exec(layer) ?? [];
  if (stage === undefined) return undefined;
  const block = letters.length > 1 ? Number(letters.slice(1)) : letters.charCodeAt(0) - 97;
  return { stage: Number(stage) - 2, block, branch: branch as Branch };
}
