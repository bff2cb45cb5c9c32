/**
 * The table of residual architectures: one row per family, with the settings of its paper for each data set. A net is given
 * by a family, a depth and the options that differ; a name such as `wrn-28-10` combines them.
 */
import { ArgumentError } from '../base/errors.ts';
import { nearest } from '../base/suggest.ts';
import type { TrainingName } from './paper-training.ts';

export type FamilyName = 'resnet' | 'plain' | 'preresnet' | 'wrn' | 'resnext' | 'se-resnet' | 'se-resnext';
export type DataSet = 'imagenet' | 'cifar';
export type BlockKind = 'basic' | 'bottleneck';

/** The settings of a family for one data set. */
export interface Setting {
  readonly order: 'post' | 'pre' | 'plain';
  readonly blocks: readonly BlockKind[];
  /** The convolution of a bottleneck that has the stride: its first 1×1 (v1) or its 3×3 (v1.5). */
  readonly version: 'v1' | 'v1.5';
  /** By kind of block; null: no shortcut. */
  readonly shortcut: Readonly<Record<BlockKind, 'identity' | 'projection' | null>>;
  /** The channels of the stem. */
  readonly stem: number;
  /** For wide nets the factor; for ResNeXt the groups and the width of each; for Squeeze-and-Excitation its reduction. */
  readonly widen?: number;
  readonly groups?: number;
  readonly groupWidth?: number;
  readonly squeeze?: number;
  readonly training: TrainingName;
}

export interface Family {
  /** The beginning of a net's name. */
  readonly title: string;
  readonly paper: string;
  readonly imagenet: Setting;
  readonly cifar: Setting;
}

const BOTH = ['basic', 'bottleneck'] as const;
const IMAGENET: Setting = {
  order: 'post',
  blocks: BOTH,
  version: 'v1',
  shortcut: { basic: 'projection', bottleneck: 'projection' },
  stem: 64,
  training: 'imagenet',
};
const CIFAR: Setting = {
  ...IMAGENET,
  shortcut: { basic: 'identity', bottleneck: 'projection' },
  stem: 16,
  training: 'cifar',
};
const NONE = { basic: null, bottleneck: null };
const NEXT = { blocks: ['bottleneck'], version: 'v1.5' } as const;

export const FAMILIES: Readonly<Record<FamilyName, Family>> = {
  resnet: { title: 'ResNet', paper: 'He et al. 2015, arXiv 1512.03385', imagenet: IMAGENET, cifar: CIFAR },
  plain: {
    title: 'Plain',
    paper: 'He et al. 2015, arXiv 1512.03385, section 3.3',
    imagenet: { ...IMAGENET, order: 'plain', blocks: ['basic'], shortcut: NONE },
    cifar: { ...CIFAR, order: 'plain', blocks: ['basic'], shortcut: NONE },
  },
  preresnet: {
    title: 'Pre-ResNet',
    paper: 'He et al. 2016, arXiv 1603.05027',
    imagenet: { ...IMAGENET, order: 'pre', version: 'v1.5', training: 'imagenet-90' },
    cifar: { ...CIFAR, order: 'pre', version: 'v1.5', training: 'cifar-warm' },
  },
  wrn: {
    title: 'WRN',
    paper: 'Zagoruyko and Komodakis 2016, arXiv 1605.07146',
    // The paper's net for ImageNet is a ResNet with wider 3×3 convolutions.
    imagenet: { ...IMAGENET, version: 'v1.5', widen: 2, training: 'imagenet-90' },
    cifar: {
      ...CIFAR,
      order: 'pre',
      blocks: ['basic'],
      shortcut: { basic: 'projection', bottleneck: null },
      widen: 10,
      training: 'cifar-wide',
    },
  },
  resnext: {
    title: 'ResNeXt',
    paper: 'Xie et al. 2016, arXiv 1611.05431',
    imagenet: { ...IMAGENET, ...NEXT, groups: 32, groupWidth: 4, training: 'imagenet-90' },
    cifar: { ...CIFAR, ...NEXT, stem: 64, groups: 8, groupWidth: 64, training: 'cifar-next' },
  },
  'se-resnet': {
    title: 'SE-ResNet',
    paper: 'Hu et al. 2017, arXiv 1709.01507',
    imagenet: { ...IMAGENET, squeeze: 16, training: 'imagenet-se' },
    cifar: { ...CIFAR, squeeze: 16 },
  },
  'se-resnext': {
    title: 'SE-ResNeXt',
    paper: 'Hu et al. 2017, arXiv 1709.01507',
    imagenet: { ...IMAGENET, ...NEXT, groups: 32, groupWidth: 4, squeeze: 16, training: 'imagenet-se' },
    cifar: { ...CIFAR, ...NEXT, stem: 64, groups: 8, groupWidth: 64, squeeze: 16, training: 'cifar-next' },
  },
};

export const FAMILY_NAMES = Object.keys(FAMILIES) as readonly FamilyName[];

/** A net that a paper names, with its parameters in millions if the paper gives them. */
export interface NamedNet {
  readonly name: string;
  readonly millions: number | null;
}

/** Parameters from 1512.03385, table 6; 1605.07146, which also has those of pre-activation nets; 1611.05431; 1709.01507. */
export const NAMED_NETS: readonly NamedNet[] = [
  ...[18, 34, 50, 101, 152].map((depth) => ({ name: `resnet-${depth}`, millions: null })),
  ...(
    [
      ['resnet-20', 0.27],
      ['resnet-32', 0.46],
      ['resnet-44', 0.66],
      ['resnet-56', 0.85],
      ['resnet-110', 1.7],
      ['resnet-164', 1.7],
      ['resnet-1202', 19.4],
      ['plain-18', null],
      ['plain-34', null],
      ['plain-20', null],
      ['plain-32', null],
      ['plain-44', null],
      ['plain-56', null],
      ['preresnet-110', 1.7],
      ['preresnet-164', 1.7],
      ['preresnet-1001', 10.2],
      ['preresnet-200', 64.7],
      ['wrn-40-1', 0.6],
      ['wrn-40-2', 2.2],
      ['wrn-40-4', 8.9],
      ['wrn-40-8', 35.7],
      ['wrn-28-10', 36.5],
      ['wrn-28-12', 52.5],
      ['wrn-22-8', 17.2],
      ['wrn-16-8', 11.0],
      ['wrn-16-10', 17.1],
      ['wrn-50-2', 68.9],
      ['resnext-29-8x64d', 34.4],
      ['resnext-29-16x64d', 68.1],
      ['resnext-50-32x4d', 25.0],
      ['resnext-101-32x4d', null],
      ['resnext-101-64x4d', null],
      ['se-resnet-50', 28.1],
      ['se-resnet-101', null],
      ['se-resnet-152', null],
      ['se-resnext-50-32x4d', null],
      ['se-resnext-101-32x4d', null],
    ] as const
  ).map(([name, millions]) => ({ name, millions })),
];

/** The parts of a name. */
export interface NameParts {
  readonly family: FamilyName;
  readonly depth?: number;
  readonly widen?: number;
  readonly groups?: number;
  readonly groupWidth?: number;
}

/**
 * Parses a family with a depth and a width: `resnet-110`, `wrn-28-10`, `resnext-50-32x4d`.
 * @throws ArgumentError with the nearest existing name
 */
export function readName(name: string): NameParts {
  const family = FAMILY_NAMES.findLast((each) => name === each || name.startsWith(`${each}-`));
  const rest =
    family === undefined
      ? null
      : /^(?:-(\d{1,5}))?(?:-(\d{1,4})|-(\d{1,4})x(\d{1,4})d)?$/.exec(name.slice(family.length));
  if (family === undefined || rest === null || (rest[0] !== '' && rest[1] === undefined)) {
    const names = [...FAMILY_NAMES, ...NAMED_NETS.map((each) => each.name)];
    const near = nearest(name, names);
    throw new ArgumentError(
      'name',
      `a family (${FAMILY_NAMES.join(', ')}), perhaps with a depth and a width: resnet-110, wrn-28-10, resnext-50-32x4d`,
      name,
      near === undefined ? undefined : `did you mean "${near}"?`,
    );
  }
  const [, depth, widen, groups, groupWidth] = rest.map((digits) =>
    digits === undefined ? undefined : Number(digits),
  );
  if ((widen !== undefined && family !== 'wrn') || (groups !== undefined && !family.endsWith('resnext')))
    throw new ArgumentError(
      'name',
      widen === undefined
        ? 'groups (32x4d) only with resnext and se-resnext'
        : 'a width after the depth only with wrn',
      name,
    );
  return {
    family,
    ...(depth === undefined ? {} : { depth }),
    ...(widen === undefined ? {} : { widen }),
    ...(groups === undefined ? {} : { groups, groupWidth: groupWidth! }),
  };
}
