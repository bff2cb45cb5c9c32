/** Reads ResNets from checkpoints of TensorFlow, by the names of their variables (resnet-names.ts). */

import { knownResnet } from '../../architectures/depths.ts';
import {
  type Convolution,
  convolutionsOf,
  type ResidualNet,
  type Stage,
} from '../../architectures/residual-net.ts';
import { WeightsError } from '../../base/errors.ts';
import { toFloat32 } from '../../caffe/blob.ts';
import type { NetParameter } from '../../caffe/net-parameter.ts';
import type { Preprocess } from '../../images/preprocess.ts';
import type { Pair } from '../../layers/operation.ts';
import { NetMaker, type Pads, type Values } from '../net-maker.ts';
import type { ReadResult } from '../network.ts';
import { inputShape } from '../resnet/resnet-network.ts';
import type { SourceTensors } from '../source-tensor.ts';
import { transposedKernel } from '../transposed-kernel.ts';
import { unknownNames } from '../unknown-names.ts';
import { readCheckpoint } from './checkpoint.ts';
import { fillNet, portNames } from './fill-net.ts';
import { portScope, slimScope, type VariableNames, variablesOf } from './resnet-names.ts';

/**
 * Reads a checkpoint of version 1 or 2. With a net whose layers have MSRA's names, it takes the port's variables at the
 * same places as weights. Otherwise the net is the one that TensorFlow computes: the port pads by SAME (a 7×7 kernel of
 * stride 2 by 2 and 3) and has ε = 0.001, and TF-Slim has the stride of a stage on its last block.
 * @throws WeightsError `tensorflow/…` for a damaged file, `convert/resnet` for other names
 */
export async function readTensorflow(
  file: string,
  {
    net,
    inputShapes,
  }: { net: NetParameter | null; inputShapes: Readonly<Record<string, readonly number[]>> },
): Promise<ReadResult> {
  const tensors = await readCheckpoint(file);
  if (net !== null) return { net, weights: fillNet(net, tensors, file, portNames(tensors)) };
  const root = [...tensors.keys()]
    .map((name) => /^(.*resnet_v1\w*)\/conv1\/weights$/.exec(name)?.[1])
    .find((each) => each !== undefined);
  if (root === undefined && !tensors.has('scale1/weights'))
    throw unknownNames(
      file,
      tensors,
      'a ResNet of tensorflow-resnet (scale1/weights, scale2/block1/a/weights, …) or TF-Slim (resnet_v1_50/conv1/weights, …)',
    );
  const source = root === undefined ? port(tensors) : slim(root);
  return build(source, tensors, file, inputShapes);
}

interface Source {
  readonly isSmall: boolean;
  readonly block: 'basic' | 'bottleneck';
  readonly scopeOf: (place: Convolution['place']) => string;
  readonly namesOf: (scope: string) => VariableNames;
  readonly classifier: readonly [weights: string, biases: string];
  readonly eps: number;
  /** The stride of a branch of a stage's block. */
  readonly strideOf: (place: NonNullable<Convolution['place']>, blocks: readonly number[]) => number;
  /** Pads as SAME does for a stride, with the larger part at the far side. Otherwise the same. */
  readonly padsSame: boolean;
  readonly preprocess: Pick<Preprocess, 'mean' | 'order'> | null;
}

function port(tensors: SourceTensors): Source {
  const isSmall = tensors.has('scale1/block1/A/weights');
  const isBottleneck = tensors.has('scale2/block1/c/weights');
  return {
    isSmall,
    block: isBottleneck ? 'bottleneck' : 'basic',
    scopeOf: (place) => portScope(place, { isSmall, isBottleneck }),
    namesOf: variablesOf,
    classifier: ['fc/weights', 'fc/biases'],
    eps: 1e-3,
    strideOf: ({ stage, block, branch }) =>
      stage > 0 && block === 0 && (branch === '1' || branch === '2a') ? 2 : 1,
    padsSame: true,
    // IMAGENET_MEAN_BGR of resnet.py
    preprocess: isSmall ? null : { mean: [103.062623801, 115.902882574, 123.151630838], order: 'BGR' },
  };
}

function slim(root: string): Source {
  return {
    isSmall: false,
    block: 'bottleneck',
    scopeOf: (place) => slimScope(place, root),
    namesOf: (scope) => variablesOf(scope, `${scope}/BatchNorm`),
    classifier: [`${root}/logits/weights`, `${root}/logits/biases`],
    // resnet_utils.py: resnet_arg_scope
    eps: 1e-5,
    strideOf: ({ stage, block, branch }, blocks) =>
      stage < blocks.length - 1 && block === blocks[stage]! - 1 && (branch === '1' || branch === '2b')
        ? 2
        : 1,
    padsSame: false,
    // preprocessing/vgg_preprocessing.py
    preprocess: { mean: [123.68, 116.78, 103.94], order: 'RGB' },
  };
}

function build(
  source: Source,
  tensors: SourceTensors,
  file: string,
  inputShapes: Readonly<Record<string, readonly number[]>>,
): ReadResult {
  const plan = planOf(source, tensors, file, inputShapes);
  const taken = new Set<string>();
  const take = (name: string): Values => {
    const tensor = tensors.get(name);
    if (tensor === undefined)
      throw new WeightsError(
        'convert/resnet',
        { file },
        `as ${plan.name} with ${plan.stages.map(({ blocks }) => blocks).join('+')} blocks it needs "${name}", which is missing`,
      );
    taken.add(name);
    return { shape: tensor.shape, values: toFloat32(tensor.blob()) };
  };
  const maker = new NetMaker(file);
  const convolutions = new Map(convolutionsOf(plan).map((each) => [keyOf(each.place), each]));
  const blocks = plan.stages.map((stage) => stage.blocks);
  const convolution = (place: Convolution['place'], bottom: string, hasRelu: boolean): string => {
    const { layer, batchNorm, scale } = convolutions.get(keyOf(place))!;
    const names = source.namesOf(source.scopeOf(place));
    const weights = transposedKernel(take(names.weights));
    const stride = place === null ? (source.isSmall ? 1 : 2) : source.strideOf(place, blocks);
    const [, ...size] = maker.imageOf(bottom, layer);
    const kernel = weights.shape.slice(2) as unknown as Pair;
    const made = maker.convolution(
      { name: layer, bottom },
      {
        weights,
        bias: null,
        stride: [stride, stride],
        pads: padsOf(source, size as unknown as Pair, kernel, stride),
      },
    );
    const normed = maker.batchNorm(
      { name: batchNorm, bottom: made, top: made },
      {
        mean: take(names.mean).values,
        variance: take(names.variance).values,
        gamma: take(names.gamma).values,
        beta: take(names.beta).values,
        eps: source.eps,
      },
      scale,
    );
    return hasRelu
      ? maker.keepingShape('ReLU', { name: `${layer}_relu`, bottom: normed, top: normed })
      : normed;
  };
  let at = convolution(null, maker.input('data', plan.input), true);
  if (!source.isSmall) {
    const [, height, width] = maker.imageOf(at, 'pool1');
    // Both pad pool1 by SAME.
    const pads = padsOf({ padsSame: true }, [height, width], [3, 3], 2);
    at = maker.pooling(
      { name: 'pool1', bottom: at },
      { method: 'max', kernel: [3, 3], stride: [2, 2], pads },
    );
  }
  for (const { stage, block, name } of blockNames(plan)) {
    const place = (branch: '1' | '2a' | '2b' | '2c') => ({ stage, block, branch });
    const stride = source.strideOf(place('1'), blocks);
    const shortcut = convolutions.has(keyOf(place('1')))
      ? convolution(place('1'), at, false)
      : stride === 1
        ? at
        : maker.pooling(
            { name: `${name}_branch1_pool`, bottom: at },
            { method: 'max', kernel: [1, 1], stride: [stride, stride], pads: [0, 0, 0, 0] },
          );
    const branches = plan.block === 'basic' ? (['2a', '2b'] as const) : (['2a', '2b', '2c'] as const);
    const sum = branches.reduce(
      (bottom, branch, i) => convolution(place(branch), bottom, i < branches.length - 1),
      at,
    );
    const top = maker.eltwise({ name }, [shortcut, sum], 'SUM');
    at = maker.keepingShape('ReLU', { name: `${name}_relu`, bottom: top, top });
  }
  at = maker.globalPooling({ name: 'pool5', bottom: at }, 'average');
  if (plan.classes !== null) {
    const { shape, values } = transposedKernel(take(source.classifier[0]));
    const [outputs = 0, inputs = 0] = shape;
    const scores = maker.innerProduct(
      { name: `fc${plan.classes}`, bottom: at },
      { shape: [outputs, inputs], values },
      take(source.classifier[1]).values,
    );
    at = maker.keepingShape('Softmax', { name: 'prob', bottom: scores });
  }
  const [, , height, width] = plan.input;
  return {
    ...maker.network(plan.name),
    notes: notesOf(tensors, taken),
    ...(source.preprocess === null
      ? {}
      : {
          preprocess: {
            resize: { shorterSide: Math.round(Math.min(height, width) / 0.875) },
            crop: { width, height },
            ...source.preprocess,
          },
        }),
  };
}

const keyOf = (place: Convolution['place']): string =>
  place === null ? '' : `${place.stage}/${place.block}/${place.branch}`;

/** MSRA's names of blocks: res2a, res3b7, … */
const blockNames = (plan: ResidualNet) =>
  convolutionsOf(plan).flatMap(({ layer, place }) =>
    place?.branch === '2a'
      ? [{ stage: place.stage, block: place.block, name: layer.replace(/_branch2a$/, '') }]
      : [],
  );

function planOf(
  source: Source,
  tensors: SourceTensors,
  file: string,
  inputShapes: Readonly<Record<string, readonly number[]>>,
): ResidualNet {
  const shapeOf = (place: Convolution['place']) =>
    tensors.get(source.namesOf(source.scopeOf(place)).weights)?.shape ?? [];
  const has = (stage: number, block: number) => shapeOf({ stage, block, branch: '2a' }).length > 0;
  const stages: Omit<Stage, 'isNumbered'>[] = [];
  for (let stage = 0; has(stage, 0); stage++) {
    let blocks = 1;
    while (has(stage, blocks)) blocks++;
    const width = shapeOf({ stage, block: 0, branch: '2a' })[3] ?? 0;
    const last = source.block === 'bottleneck' ? '2c' : '2b';
    stages.push({ blocks, width, outputs: shapeOf({ stage, block: 0, branch: last })[3] ?? width });
  }
  const known = knownResnet(
    source.block,
    stages.map(({ blocks }) => blocks),
  );
  const [kernel = 0, , channels = 3, outputs = 0] = shapeOf(null);
  if (kernel !== (source.isSmall ? 3 : 7))
    throw new WeightsError(
      'convert/resnet',
      { file },
      `its first convolution is ${shapeOf(null).join('×')}, expected ${source.isSmall ? '3×3' : '7×7'}`,
    );
  return {
    name: known === null ? 'ResNet' : `ResNet-${known.depth}`,
    input: inputShape(inputShapes, channels, source.isSmall ? 32 : 224),
    stem: { outputs, kernel: source.isSmall ? 3 : 7, pool: source.isSmall ? null : 'overhanging' },
    block: source.block,
    strideAt: 'first',
    stages: stages.map((stage, i) => ({
      ...stage,
      isNumbered: known?.numbered.includes(i + 2) ?? stage.blocks > 26,
    })),
    shortcut: 'projection',
    average: { global_pooling: true },
    classes: tensors.get(source.classifier[0])?.shape.at(-1) ?? null,
  };
}

/** SAME: ⌈size / stride⌉ outputs, and the odd pixel at the far side (tensorflow/core/framework/common_shape_fns.cc). */
function padsOf({ padsSame }: Pick<Source, 'padsSame'>, size: Pair, kernel: Pair, stride: number): Pads {
  const [[top, bottom], [left, right]] = [0, 1].map((i) => {
    const total = padsSame
      ? Math.max(0, (Math.ceil(size[i]! / stride) - 1) * stride + kernel[i]! - size[i]!)
      : kernel[i]! - 1;
    return [Math.floor(total / 2), Math.ceil(total / 2)] as const;
  }) as [readonly [number, number], readonly [number, number]];
  return [top, left, bottom, right];
}

function notesOf(tensors: SourceTensors, taken: ReadonlySet<string>): string[] {
  const rest = [...tensors.keys()].filter((name) => !taken.has(name));
  if (rest.length === 0) return [];
  return [
    `${rest.length} variables are not weights of the net (${rest.slice(0, 3).join(', ')}${rest.length > 3 ? ', …' : ''}) and were skipped`,
  ];
}
