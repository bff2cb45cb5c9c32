/** Rules about BatchNorm, the layer with the most mistakes. */
import { positionOf } from '../../caffe/message.ts';
import type { LayerParameter } from '../../caffe/net-parameter.ts';
import { type Found, type LintNet, type LintState, nameOf, type Rule } from './rule.ts';

const batchNorms = (state: LintState) => state.layers.filter(({ type }) => type === 'BatchNorm');

function* learningRates({ states }: LintNet): Iterable<Found> {
  for (const state of states)
    for (const layer of batchNorms(state)) {
      const specs = layer.param ?? [];
      const found = (message: string, level: 'error' | 'warning'): Found => ({
        position: positionOf(layer, 'param'),
        message: `${nameOf(layer)} ${message}`,
        level,
      });
      const learns = specs.some(({ lr_mult = 1 }) => lr_mult !== 0);
      if (specs.length > 3)
        yield found(`has ${specs.length} param fields for its 3 blobs: Caffe refuses it`, 'error');
      else if (specs.length === 3 || (specs.length === 0 && !state.trains)) continue;
      else if (learns)
        yield found(`has ${specs.length} param fields and lets statistics learn: Caffe refuses it`, 'error');
      else if (specs.length === 0)
        yield found('has no param: older Caffes and forks train its statistics', 'warning');
      else yield found(`has ${specs.length} param { lr_mult: 0 } for its 3 blobs`, 'warning');
    }
}

function* globalStatistics({ states }: LintNet): Iterable<Found> {
  for (const state of states)
    for (const layer of batchNorms(state)) {
      const param = layer.batch_norm_param;
      const found = (text: string, fix: string): Found => ({
        position: positionOf(param, 'use_global_stats'),
        message: `${nameOf(layer)} ${text}`,
        fix,
      });
      if (param?.use_global_stats === true && state.trains)
        yield found(
          'uses its stored statistics in training: without trained weights these are zeros',
          'remove use_global_stats, or keep it to fine-tune with frozen trained statistics',
        );
      if (param?.use_global_stats === false && state.phase === 'TEST')
        yield found(
          'uses the statistics of the batch in phase TEST: a score then depends on the other images',
          'remove use_global_stats: it follows the phase',
        );
    }
}

function* biases({ states }: LintNet): Iterable<Found> {
  for (const { layers } of states) {
    const makers = new Map<string, LayerParameter>();
    for (const layer of layers) {
      const before = makers.get(layer.bottom?.[0] ?? '');
      if (layer.type === 'BatchNorm' && before !== undefined && hasBias(before)) {
        const published = isPublishedConv1(before);
        yield {
          position: positionOf(before),
          message: `${nameOf(before)} has a bias, which the mean of ${nameOf(layer)} subtracts again${
            published ? '; ResNet-50 was published in this form, with the bias in its weights' : ''
          }`,
          ...(published
            ? {
                level: 'note' as const,
                fix: "keep it for MSRA's weights of ResNet-50; else bias_term: false",
              }
            : {}),
        };
      }
      for (const top of layer.top ?? []) makers.set(top, layer);
    }
  }
}

function hasBias(layer: LayerParameter): boolean {
  const param = { Convolution: layer.convolution_param, InnerProduct: layer.inner_product_param };
  return (
    Object.hasOwn(param, layer.type ?? '') &&
    (param[layer.type as keyof typeof param]?.bias_term ?? true) === true
  );
}

/** conv1 of ResNet-50-deploy.prototxt: 64 filters of 7×7. ResNet-101's and 152's have no bias. */
function isPublishedConv1({ name, convolution_param }: LayerParameter): boolean {
  const kernel = (convolution_param?.kernel_size ?? []) as number[];
  return name === 'conv1' && convolution_param?.num_output === 64 && kernel[0] === 7;
}

function* scales({ states }: LintNet): Iterable<Found> {
  for (const state of states) {
    for (const [index, layer] of state.layers.entries()) {
      if (layer.type !== 'BatchNorm' || isScaled(state.layers, index)) continue;
      yield { position: positionOf(layer), message: `no Scale reads the top of ${nameOf(layer)}` };
    }
  }
}

// Until another layer writes the blob again, its readers read the BatchNorm's result.
function isScaled(layers: readonly LayerParameter[], index: number): boolean {
  const top = layers[index]!.top?.[0] ?? '';
  for (const layer of layers.slice(index + 1)) {
    if (layer.bottom?.includes(top) && layer.type === 'Scale') return true;
    if (layer.top?.includes(top)) return false;
  }
  return false;
}

export const batchNormRules: readonly Rule[] = [
  {
    name: 'batch-norm-lr',
    level: 'warning',
    on: 'net',
    finds:
      'a BatchNorm without exactly three param { lr_mult: 0 } in a training net (errors: one or two that learn, more than three)',
    why: 'Its blobs are statistics: upgrade_proto.cpp (UpgradeNetBatchNorm) zeroes the rates of exactly three, batch_norm_layer.cpp checks the others, and older Caffes do neither.',
    fix: 'give param { lr_mult: 0 decay_mult: 0 } three times',
    check: learningRates,
  },
  {
    name: 'global-stats',
    level: 'warning',
    on: 'net',
    finds: 'use_global_stats: true in a training net, or false in phase TEST',
    why: 'An explicit value overrides the phase (batch_norm_layer.cpp, LayerSetUp).',
    fix: 'remove use_global_stats',
    check: globalStatistics,
  },
  {
    name: 'bias-before-batch-norm',
    level: 'warning',
    on: 'net',
    finds: 'a convolution or inner product with a bias directly before a BatchNorm',
    why: 'BatchNorm subtracts the mean of its channel and with it the bias (batch_norm_layer.cpp); the Scale after it has the effective bias.',
    fix: 'write bias_term: false',
    check: biases,
  },
  {
    name: 'batch-norm-without-scale',
    level: 'warning',
    on: 'net',
    finds: 'a BatchNorm that no Scale follows',
    why: "Caffe's BatchNorm normalises only (batch_norm_layer.cpp); the learned factor and shift of the paper are a Scale layer with bias_term: true, as in MSRA's files.",
    fix: 'add layer { type: "Scale" scale_param { bias_term: true } } after it',
    check: scales,
  },
];
