/**
 * mixup (Zhang et al., "mixup: Beyond Empirical Risk Minimization", arXiv 1710.09412): each batch is mixed with itself
 * in another order, λ·x + (1 − λ)·x′, and so is its loss, λ·L(y) + (1 − λ)·L(y′), as in the authors' code. If a loss is
 * linear in the label's distribution, this is the loss of the mixed labels. λ is drawn from Beta(α, α) once for each
 * batch.
 *
 * Layers of the net after the data and after its losses do the mixing, so every device supports it. The data is
 * unchanged.
 */

import { PrototxtError } from '../base/errors.ts';
import { sigmoid } from '../base/numbers.ts';
import { mix, randomInteger, randomNormal, seededRandom } from '../base/random.ts';
import type { LayerParameter, NetParameter } from '../caffe/net-parameter.ts';
import type { Batch, DataSource } from '../data/source.ts';
import { isLossType } from '../layers/index.ts';
import { sinkLayers } from '../layers/sinks.ts';
import type { ReadNet } from './solver-nets.ts';

/** The losses that are linear in the label's distribution over classes. */
const LINEAR = ['SoftmaxWithLoss', 'MultinomialLogisticLoss', 'InfogainLoss', 'SigmoidCrossEntropyLoss'];
/** Other layers that may read labels; they see those of the batch in its own order. */
const READERS = ['Accuracy', ...Object.keys(sinkLayers)];

const PARTNER = 'mixup/partner';
const OWN = 'mixup/lambda';
const OTHER = 'mixup/rest';
const OWN_LOSS = 'mixup/lambda_of_loss';
const OTHER_LOSS = 'mixup/rest_of_loss';

interface Mixed {
  readonly net: ReadNet;
  /** The number of samples in a batch, which `mixingSource` needs. */
  readonly samples: number;
}

interface Parts {
  /** The layers that mix, after the layers of the data. */
  readonly front: readonly LayerParameter[];
  /** Blobs of the data, and the blobs that replace them after `front`. */
  readonly renamed: ReadonlyMap<string, string>;
  /** For each label, the same label in the order of the partners. */
  readonly labels: ReadonlyMap<string, string>;
}

/**
 * The training net with mixup.
 * @param at The position of the solver's field.
 * @throws PrototxtError `solver/mixup` for a net that does not support it
 */
export function mixedNet(read: ReadNet, shapes: DataSource['shapes'], at: PrototxtError['position']): Mixed {
  const refuse = (text: string): never => {
    throw new PrototxtError('solver/mixup', at, `mixup: ${text}`);
  };
  const layers = read.filtered.layer ?? [];
  const body = layers.filter(({ top = [] }) => !top.some((name) => Object.hasOwn(shapes, name)));
  const losses = body.filter(({ type = '' }) => isLossType(type));
  const foreign = losses.find(({ type = '' }) => !LINEAR.includes(type));
  if (foreign !== undefined)
    refuse(
      `the loss of layer "${foreign.name}" (${foreign.type}) is not linear in its labels, so mixed labels have no meaning; mixup supports ${LINEAR.join(', ')}`,
    );
  if (losses.length === 0) refuse('the net has no loss');
  const labels = new Set(losses.map(({ bottom = [] }) => bottom[1]!));
  const made = [...labels].find((name) => !Object.hasOwn(shapes, name));
  if (made !== undefined) refuse(`the net computes the labels "${made}"; mixup needs labels from the data`);
  for (const { name, type = '', bottom = [] } of body) {
    const label = bottom.find((blob, i) => labels.has(blob) && !(i === 1 && isLossType(type)));
    if (label !== undefined && !READERS.includes(type))
      refuse(`layer "${name}" (${type}) reads the labels "${label}"; only losses and Accuracy may`);
  }
  const images = Object.keys(shapes).filter(
    (name) => !labels.has(name) && body.some(({ bottom }) => bottom?.includes(name)),
  );
  if (images.length !== 1)
    refuse(
      `mixup supports one blob of data; this net reads ${images.join(', ') || 'none'} besides its labels`,
    );
  const [image] = images as [string];
  const samples = shapes[image]![0] ?? 0;
  if (samples < 2) refuse('a batch of 1 cannot be mixed; raise batch_size');
  const other = [...labels].find((name) => shapes[name]![0] !== samples);
  if (other !== undefined) refuse(`the labels "${other}" do not have one value per sample`);
  const parts = partsOf(image, samples, [...labels]);
  const apply = (net: NetParameter): NetParameter => {
    const all = net.layer ?? [];
    const last = all.findLastIndex(({ top = [] }) => top.some((name) => Object.hasOwn(shapes, name)));
    return {
      ...net,
      layer: [
        ...all.slice(0, last + 1),
        ...parts.front,
        ...all.slice(last + 1).flatMap((layer) => changed(layer, parts)),
      ],
    };
  };
  // The net is already filtered, so layers of the other phase are gone.
  const net = apply(read.filtered);
  return { net: { ...read, net, filtered: net }, samples };
}

function partsOf(image: string, samples: number, labels: readonly string[]): Parts {
  const input = (name: string, dim: readonly number[]): LayerParameter => ({
    name,
    type: 'Input',
    top: [name],
    input_param: { shape: [{ dim: [...dim] }] },
  });
  const reindexed = (blob: string): LayerParameter => ({
    name: `mixup/${blob}`,
    type: 'BatchReindex',
    bottom: [blob, PARTNER],
    top: [`mixup/${blob}`],
  });
  const scaled = (blob: string, by: string, top: string): LayerParameter => ({
    name: top,
    type: 'Scale',
    bottom: [blob, by],
    top: [top],
    scale_param: { axis: 0 },
  });
  const [own, other, mixed] = ['own', 'other', 'mixed'].map((part) => `mixup/${image}_${part}`) as [
    string,
    string,
    string,
  ];
  return {
    front: [
      ...[PARTNER, OWN, OTHER].map((name) => input(name, [samples])),
      ...[OWN_LOSS, OTHER_LOSS].map((name) => input(name, [1])),
      reindexed(image),
      ...labels.map(reindexed),
      scaled(image, OWN, own),
      scaled(`mixup/${image}`, OTHER, other),
      {
        name: mixed,
        type: 'Eltwise',
        bottom: [own, other],
        top: [mixed],
        eltwise_param: { operation: 'SUM' },
      },
    ],
    renamed: new Map([[image, mixed]]),
    labels: new Map(labels.map((name) => [name, `mixup/${name}`])),
  };
}

/** Changes a layer after the data. A loss becomes two losses and their mean weighted by λ, which has its name. */
function changed(layer: LayerParameter, { renamed, labels }: Parts): LayerParameter[] {
  const { name = '', type = '', top = [], loss_weight, bottom = [] } = layer;
  const read = { ...layer, bottom: bottom.map((blob) => renamed.get(blob) ?? blob) };
  if (!isLossType(type)) return [bottom.length === 0 ? layer : read];
  const loss = top[0] ?? name;
  const sides = [
    { side: `mixup/${loss}_own`, layer: name, by: OWN_LOSS, rest: top.slice(1), label: bottom[1]! },
    {
      side: `mixup/${loss}_other`,
      layer: `mixup/${name}`,
      by: OTHER_LOSS,
      rest: [],
      label: labels.get(bottom[1]!)!,
    },
  ];
  return [
    ...sides.flatMap(({ side, layer: own, by, rest, label }): LayerParameter[] => [
      {
        ...read,
        name: own,
        bottom: read.bottom.map((blob, i) => (i === 1 ? label : blob)),
        top: [side, ...rest],
        loss_weight: [0, ...rest.map(() => 0)],
      },
      // Turns the scalar into one value, which a Scale with one factor can multiply.
      {
        name: `${side}_value`,
        type: 'Reshape',
        bottom: [side],
        top: [`${side}_value`],
        reshape_param: { shape: { dim: [1] } },
      },
      {
        name: `${side}_share`,
        type: 'Scale',
        bottom: [`${side}_value`, by],
        top: [`${side}_share`],
        scale_param: { axis: 0 },
      },
    ]),
    {
      name: `mixup/${loss}`,
      type: 'Eltwise',
      bottom: sides.map(({ side }) => `${side}_share`),
      top: [loss],
      eltwise_param: { operation: 'SUM' },
      loss_weight: [loss_weight?.[0] ?? 1],
    },
  ];
}

interface Draw {
  readonly alpha: number;
  readonly seed: number;
  readonly rank: number;
  /** The number of batches that were drawn before, if training is resumed. */
  readonly drawn: number;
}

/**
 * The data with the additional inputs of the mixed net: the partner of each sample and λ, drawn from the seed and the
 * batch's number.
 */
export function mixingSource(
  source: DataSource,
  samples: number,
  { alpha, seed, rank, drawn }: Draw,
): DataSource {
  const originals = new WeakMap<Batch, Batch>();
  const original = (batch: Batch) => originals.get(batch) ?? batch;
  const { recycle, nameOf } = source;
  let number = drawn;
  return {
    shapes: {
      ...source.shapes,
      [PARTNER]: [samples],
      [OWN]: [samples],
      [OTHER]: [samples],
      [OWN_LOSS]: [1],
      [OTHER_LOSS]: [1],
    },
    epochSize: source.epochSize,
    get waited() {
      return source.waited;
    },
    async next(signal) {
      const batch = await source.next(signal);
      const random = seededRandom(mix(seed, rank, number++, 0x6d697875));
      const share = Math.fround(beta(alpha, random));
      const rest = Math.fround(1 - share);
      const mixed: Batch = {
        ...batch,
        [PARTNER]: permutation(samples, random),
        [OWN]: new Float32Array(samples).fill(share),
        [OTHER]: new Float32Array(samples).fill(rest),
        [OWN_LOSS]: Float32Array.of(share),
        [OTHER_LOSS]: Float32Array.of(rest),
      };
      originals.set(mixed, batch);
      return mixed;
    },
    ...(recycle === undefined ? {} : { recycle: (batch) => recycle.call(source, original(batch)) }),
    ...(nameOf === undefined
      ? {}
      : { nameOf: (batch, sample) => nameOf.call(source, original(batch), sample) }),
    state: () => source.state(),
    restore: (state) => source.restore(state),
    dispose: () => source.dispose(),
  };
}

/**
 * Draws from Beta(α, α), as the share of one of two gamma variates. It uses their logarithms, since the variates
 * underflow for a small α.
 */
export function beta(alpha: number, random: () => number): number {
  const [one, other] = [logGamma(alpha, random), logGamma(alpha, random)];
  return sigmoid(one - other);
}

/** The logarithm of a gamma variate (Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", 2000). */
function logGamma(alpha: number, random: () => number): number {
  if (alpha < 1) return logGamma(alpha + 1, random) + Math.log(1 - random()) / alpha;
  const d = alpha - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = randomNormal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random()) < x ** 2 / 2 + d - d * v + d * Math.log(v)) return Math.log(d * v);
  }
}

/** The numbers from 0 to `count` − 1 in random order (Fisher–Yates). */
function permutation(count: number, random: () => number): Float32Array {
  const order = Float32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = randomInteger(random, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
