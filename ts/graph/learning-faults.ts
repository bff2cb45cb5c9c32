/**
 * Finds what prevents a net from learning, or its BatchNorm from working, although Caffe trains it without a message. `lint`
 * and the start of a training report the same faults.
 */
import type { CodeOf } from '../base/error-codes.ts';
import { elementCount } from '../base/shape.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import { hadRatesZeroed } from '../caffe/upgrade.ts';
import { hasWrittenBlobs } from '../caffe/written-blobs.ts';
import { isLossType } from '../layers/index.ts';

export interface LearningNet {
  readonly phase: 'TRAIN' | 'TEST';
  /** In file order, filtered for the phase. */
  readonly layers: readonly LayerParameter[];
  /** Whether weights come from a source other than the layer's filler. */
  hasWeights(layer: string): boolean;
  /** A blob's shape; undefined if it is unknown. */
  shapeOf(blob: string): readonly number[] | undefined;
  /** Every BatchNorm uses its stored statistics. */
  readonly frozenBatchNorm: boolean;
  /** The number of processes over which BatchNorm computes its statistics. */
  readonly processes: number;
}

export interface Fault {
  /** The layer with the fault; undefined for the whole net. */
  readonly layer: LayerParameter | undefined;
  readonly field?: string;
  /** Without its subject, the layer or the net. */
  readonly message: string;
  /** If it differs from the kind's own. */
  readonly level?: 'error' | 'warning';
  /** If it differs from the kind's own. */
  readonly fix?: string;
}

export interface FaultKind {
  /** The name, as in lint's rules and the codes of warnings. */
  readonly name: CodeOf<'net'>;
  /** error: a training with this fault is refused. */
  readonly level: 'error' | 'warning';
  readonly finds: string;
  readonly why: string;
  readonly fix: string;
  /** The fault also matters in phase TEST. */
  readonly inTests?: boolean;
  readonly check: (net: LearningNet) => Iterable<Fault>;
}

/** A variance of fewer values is not meaningful. */
const FEW = 16;

const nameOf = ({ name = '', type = '' }: LayerParameter): string => `layer "${name}" (${type})`;
const NAMED = 4;

/** Merges faults of one kind with the same message into one fault that names all layers. */
export function groupFaults(faults: Iterable<Fault>): Fault[] {
  const groups = new Map<string, Fault[]>();
  for (const fault of faults) groups.set(fault.message, [...(groups.get(fault.message) ?? []), fault]);
  return [...groups.values()].map(([first, ...others]) => {
    if (others.length === 0) return first!;
    const names = others.slice(0, NAMED).map(({ layer }) => `"${layer?.name ?? ''}"`);
    const more = others.length > NAMED ? [`${others.length - NAMED} more`] : [];
    return { ...first!, message: `${first!.message} (the same: ${[...names, ...more].join(', ')})` };
  });
}

/** The fault and its reason in one sentence. */
export const faultText = ({ layer, message }: Fault): string =>
  `${layer === undefined ? 'the net' : nameOf(layer)} ${message}`;

/** Whether a layer is a BatchNorm that uses its batch's statistics (batch_norm_layer.cpp). */
export function isLiveBatchNorm(layer: LayerParameter, phase: 'TRAIN' | 'TEST'): boolean {
  const global = layer.batch_norm_param?.use_global_stats as boolean | undefined;
  return layer.type === 'BatchNorm' && !(global ?? phase === 'TEST');
}

function* fewValues({ layers, phase, shapeOf, frozenBatchNorm, processes }: LearningNet): Iterable<Fault> {
  if (frozenBatchNorm) return;
  const batch = writtenBatch(layers);
  for (const layer of layers) {
    const shape = isLiveBatchNorm(layer, phase) ? shapeOf(layer.bottom?.[0] ?? '') : undefined;
    if (shape === undefined || shape.length < 2) continue;
    const [samples, places] = [(batch ?? shape[0]!) * processes, elementCount(shape.slice(2))];
    const values = samples * places;
    if (values === 1)
      yield {
        layer,
        message: `computes its statistics from one value per channel (batch 1, 1×1), so its output is always 0`,
      };
    else if (values < FEW)
      yield {
        layer,
        level: 'warning',
        message: `computes its statistics from only ${values} values per channel (batch ${samples}, ${shape.slice(2).join('×') || '1'})`,
      };
  }
}

// A data layer's shape may come from its crop_size, which does not give the batch.
function writtenBatch(layers: readonly LayerParameter[]): number | undefined {
  const params = ['data_param', 'image_data_param', 'hdf5_data_param', 'memory_data_param'] as const;
  return layers
    .flatMap((layer) => params.map((param) => layer[param]?.batch_size as number | undefined))
    .find((size) => size !== undefined);
}

interface WrittenFiller {
  readonly type?: string;
  readonly value?: number;
}

const isZero = (filler: WrittenFiller | undefined) =>
  (filler?.type ?? 'constant') === 'constant' && (filler?.value ?? 0) === 0;

/** Layers that multiply by their weights, with the field of their filler. */
const MULTIPLY: Readonly<Record<string, readonly [param: `${string}_param`, filler: string]>> = {
  Convolution: ['convolution_param', 'weight_filler'],
  Deconvolution: ['convolution_param', 'weight_filler'],
  InnerProduct: ['inner_product_param', 'weight_filler'],
  Scale: ['scale_param', 'filler'],
};

function* zeroWeights({ layers, hasWeights }: LearningNet): Iterable<Fault> {
  const shared = new Set<string>();
  for (const layer of layers) {
    if (!Object.hasOwn(MULTIPLY, layer.type ?? '')) continue;
    const spec = layer.param?.[0];
    const isShared = spec?.name !== undefined && spec.name !== '' && shared.has(spec.name);
    if (spec?.name) shared.add(spec.name);
    const [param, field] = MULTIPLY[layer.type!]!;
    const filler = layer[param]?.[field] as WrittenFiller | undefined;
    // A Scale without a filler starts with 1. A written 0 is intended (zero-initialised residuals).
    if (layer.type === 'Scale' && (filler === undefined || filler.value !== undefined)) continue;
    if (isShared || !isZero(filler) || (layer.bottom?.length ?? 1) > 1) continue;
    if (hasWeights(layer.name ?? '') || hasWrittenBlobs(layer)) continue;
    yield {
      layer,
      field: param,
      message: `begins with weights of 0: ${
        filler === undefined
          ? `it has no ${field}`
          : `its ${field} is a constant ${filler.value === undefined ? 'without a value' : 'of 0'}`
      }, and no layer before it learns while they are 0`,
      ...(layer.type === 'Scale' ? { fix: 'write filler { type: "constant" value: 1 }' } : {}),
    };
  }
}

const isLoss = ({ type = '', loss_weight }: LayerParameter) =>
  loss_weight === undefined || loss_weight.length === 0
    ? isLossType(type)
    : loss_weight.some((weight) => weight !== 0);

function* oneClass({ layers, shapeOf }: LearningNet): Iterable<Fault> {
  const losses = layers.filter(isLoss);
  for (const layer of layers) {
    if (layer.type !== 'Softmax' && layer.type !== 'SoftmaxWithLoss') continue;
    const shape = shapeOf(layer.bottom?.[0] ?? '');
    const { axis } = withDefaults<{ axis: number }>('SoftmaxParameter', layer.softmax_param);
    if (shape?.at(axis) !== 1) continue;
    const what =
      layer.type === 'Softmax'
        ? 'its output is always 1'
        : 'its loss is always 0, and nothing is learned from it';
    yield {
      layer,
      level: layer.type === 'SoftmaxWithLoss' && losses.length === 1 ? 'error' : 'warning',
      message: `has one class, "${layer.bottom?.[0]}" is ${shape.join('×')}: ${what}`,
    };
  }
}

/** Layers whose output has the same effect on a softmax as their input. */
const HANDING_ON = ['Split', 'Dropout', 'Flatten', 'Reshape', 'ReLU'];

function* softmaxTwice({ layers }: LearningNet): Iterable<Fault> {
  const makers = new Map<string, LayerParameter>();
  const softmaxAbove = (blob: string): LayerParameter | undefined => {
    const maker = makers.get(blob);
    if (maker?.type === 'Softmax') return maker;
    return HANDING_ON.includes(maker?.type ?? '') ? above.get(maker!) : undefined;
  };
  // The softmax above a layer is recorded before an in-place layer writes its blob again.
  const above = new Map<LayerParameter, LayerParameter | undefined>();
  for (const layer of layers) {
    const first = softmaxAbove(layer.bottom?.[0] ?? '');
    above.set(layer, first);
    if (first !== undefined && (layer.type === 'SoftmaxWithLoss' || layer.type === 'Softmax'))
      yield {
        layer,
        field: 'bottom',
        message: `applies a softmax to the softmax of ${nameOf(first)}: its probabilities stay near 1 over the number of classes`,
      };
    for (const top of layer.top ?? []) makers.set(top, layer);
  }
}

function* noLoss({ phase, layers }: LearningNet): Iterable<Fault> {
  if (phase === 'TRAIN' && !layers.some(isLoss))
    yield { layer: undefined, message: 'has no loss in phase TRAIN: nothing would be learned' };
}

/** Layers with weights, and the number of their blobs that may learn. */
const LEARNING = [
  ...['Convolution', 'DepthwiseConvolution', 'ConvolutionDepthwise', 'HoleConvolution', 'Deconvolution'],
  ...['InnerProduct', 'Embed', 'RNN', 'LSTM', 'Parameter', 'Scale', 'Bias', 'PReLU', 'Normalize'],
  ...['BN', 'CuDNNBatchNorm', 'ConvLSTM'],
];

function* nothingLearns({ layers }: LearningNet): Iterable<Fault> {
  const able = layers.filter(({ type }) => LEARNING.includes(type ?? ''));
  const [first] = able;
  const learns = ({ type, param = [] }: LayerParameter) =>
    // A blob without a param learns, such as a bias after a single param.
    param.length === 0 ||
    param.some(({ lr_mult = 1 }) => lr_mult !== 0) ||
    (param.length === 1 && type !== 'PReLU' && type !== 'Bias');
  if (first === undefined)
    yield { layer: undefined, message: 'has no layer with weights: there is nothing to learn' };
  else if (!able.some(learns))
    yield {
      layer: first,
      field: 'param',
      message: 'has an lr_mult of 0, like all others: nothing learns',
    };
}

function* zeroedRates({ layers }: LearningNet): Iterable<Fault> {
  for (const layer of layers)
    if (hadRatesZeroed(layer))
      yield {
        layer,
        field: 'param',
        message: `has three param fields with a rate, which Caffe sets to 0: its blobs are statistics and do not learn`,
      };
}

export const learningFaults: readonly FaultKind[] = [
  {
    name: 'batch-norm-few-values',
    level: 'error',
    inTests: true,
    finds: `live BatchNorm over one value per channel, or over fewer than ${FEW} (a warning)`,
    why: 'batch_norm_layer.cpp computes mean and variance over N·H·W: with one value the variance and the output are 0, with few values they are noise.',
    fix: 'give a larger batch_size, or use_global_stats: true with trained statistics',
    check: fewValues,
  },
  {
    name: 'zero-weights',
    level: 'warning',
    finds:
      'a learnable convolution or inner product that begins with weights of 0; a Scale whose constant filler has no value',
    why: "FillerParameter's defaults are the type constant and the value 0 (caffe.proto); a product with 0 passes no gradient down.",
    fix: 'write weight_filler { type: "msra" }, or begin with trained weights',
    check: zeroWeights,
  },
  {
    name: 'one-class',
    level: 'error',
    inTests: true,
    finds: 'a softmax over one class (a warning if it is not the only loss)',
    why: 'exp(x)/exp(x) is 1 whatever x is (softmax_layer.cpp).',
    fix: 'give num_output: 2 (or more) to the layer before it',
    check: oneClass,
  },
  {
    name: 'softmax-twice',
    level: 'warning',
    inTests: true,
    finds: 'a Softmax before SoftmaxWithLoss, or before another Softmax',
    why: 'SoftmaxWithLoss computes the softmax itself (softmax_loss_layer.cpp).',
    fix: 'give it the scores that the Softmax reads',
    check: softmaxTwice,
  },
  {
    name: 'no-loss',
    level: 'error',
    finds: 'a net to train without a loss',
    why: 'Net::Backward begins at losses (net.cpp); without one every diff is 0.',
    fix: 'add layer { type: "SoftmaxWithLoss" … } in phase TRAIN, or loss_weight: 1',
    check: noLoss,
  },
  {
    name: 'nothing-learns',
    level: 'warning',
    finds: 'a net to train in which every lr_mult is 0, or that has no weights',
    why: 'The rate of a blob is base_lr · lr_mult (sgd_solver.cpp, ComputeUpdateValue).',
    fix: 'give the layers that should learn param { lr_mult: 1 }',
    check: nothingLearns,
  },
  {
    name: 'batch-norm-rates-zeroed',
    level: 'warning',
    finds: 'a BatchNorm with three param fields that have a rate',
    why: 'upgrade_proto.cpp (UpgradeNetBatchNorm) sets lr_mult and decay_mult of exactly three to 0 at every load.',
    fix: 'write param { lr_mult: 0 decay_mult: 0 } three times',
    check: zeroedRates,
  },
];
