/** Common mistakes of ports: what a layer may do elsewhere that Caffe does not do, or not with this prototxt. */
import { type Blob, blobFromFloats, toFloat32 } from '../../../caffe/blob.ts';
import type { SingleLayer } from '../single-layer.ts';

export interface Hypothesis {
  readonly name: CauseName;
  /** What the other side did, as a clause: "pooled sizes are rounded down there". */
  readonly text: string;
  readonly single: SingleLayer;
}

export type CauseName =
  | 'accumulated'
  | 'batch-norm-factor'
  | 'batch-statistics'
  | 'bias'
  | 'channel-order'
  | 'eps'
  | 'fused'
  | 'in-place'
  | 'no-weights'
  | 'pool-rounding'
  | 'stride-position'
  | 'unknown';

/**
 * Every mistake that is possible for this layer's type.
 * @param readsInput Its bottom is the net's input.
 */
export function hypotheses(single: SingleLayer, readsInput: boolean): Hypothesis[] {
  const rule = RULES[single.layer.type ?? ''];
  return rule === undefined ? [] : rule(single, readsInput);
}

const RULES: Readonly<Record<string, (single: SingleLayer, readsInput: boolean) => Hypothesis[]>> = {
  BatchNorm: batchNorm,
  Convolution: (single, readsInput) => [
    ...withoutBias(single, 'convolution_param'),
    ...stride(single),
    ...(readsInput ? channelOrder(single) : []),
  ],
  InnerProduct: (single) => withoutBias(single, 'inner_product_param'),
  Pooling: pooling,
  Scale: (single) => withoutBias(single, 'scale_param'),
};

/** The layer with other fields in one of its messages; undefined removes a field. */
function altered(
  single: SingleLayer,
  parameter: string,
  fields: Readonly<Record<string, unknown>>,
): SingleLayer {
  const written = (single.layer as Record<string, object | undefined>)[parameter];
  const message = Object.entries({ ...written, ...fields }).filter(([, value]) => value !== undefined);
  return { ...single, layer: { ...single.layer, [parameter]: Object.fromEntries(message) } };
}

// Keras and TensorFlow 1e-3, MXNet 2e-5, Keras' ResNet50 1.001e-5, CNTK and others.
const EPSILONS = [0, 1e-9, 1e-6, 1e-5, 1.001e-5, 2e-5, 1e-4, 1e-3];

function batchNorm(single: SingleLayer): Hypothesis[] {
  const [mean, variance, factor] = single.blobs as [Blob, Blob, Blob];
  const divisor = toFloat32(factor)[0]!;
  return [
    ...(divisor === 1
      ? []
      : [
          {
            name: 'batch-norm-factor' as const,
            text: `the other side does not divide mean and variance by the third blob (${divisor.toPrecision(6)}), as batch_norm_layer.cpp does`,
            single: { ...single, blobs: [mean, variance, blobFromFloats([1], Float32Array.of(1))] },
          },
        ]),
    {
      name: 'batch-statistics',
      text: "the other side uses the batch's own mean and variance: phase TRAIN, or use_global_stats: false",
      single: altered(single, 'batch_norm_param', { use_global_stats: false }),
    },
    ...EPSILONS.map((eps) => ({
      name: 'eps' as const,
      text: `eps is ${eps} there; here it is ${(single.layer.batch_norm_param as { eps?: number } | undefined)?.eps ?? 1e-5}`,
      single: altered(single, 'batch_norm_param', { eps }),
    })),
  ];
}

function withoutBias(single: SingleLayer, parameter: string): Hypothesis[] {
  if (single.blobs.length < 2) return [];
  return [
    {
      name: 'bias',
      text: 'the other side does not add the bias (second blob): bias_term: false, or it was lost in a conversion; conv1 of ResNet-50 has one, of ResNet-101 and 152 none',
      single: { ...altered(single, parameter, { bias_term: false }), blobs: [single.blobs[0]!] },
    },
  ];
}

function stride(single: SingleLayer): Hypothesis[] {
  const p = (single.layer.convolution_param ?? {}) as {
    stride?: number[];
    stride_h?: number;
    kernel_size?: number[];
  };
  const here = p.stride_h ?? p.stride?.[0] ?? 1;
  return [1, 2]
    .filter((there) => there !== here)
    .map((there) => ({
      name: 'stride-position',
      text: `the stride is ${there} there and ${here} here: the blocks of MSRA's ResNets (v1) have it on the first 1×1 convolution, those of torchvision and NVIDIA (v1.5) on the 3×3`,
      single: altered(single, 'convolution_param', {
        stride: [there],
        stride_h: undefined,
        stride_w: undefined,
      }),
    }));
}

function channelOrder(single: SingleLayer): Hypothesis[] {
  const [weights, ...others] = single.blobs as [Blob];
  const [outputs, channels] = weights.shape as [number, number];
  if (channels !== 3) return [];
  const values = toFloat32(weights);
  const plane = values.length / outputs / channels;
  const swapped = new Float32Array(values.length);
  for (let o = 0; o < outputs; o++)
    for (let c = 0; c < channels; c++)
      swapped.set(
        values.subarray((o * channels + c) * plane, (o * channels + c + 1) * plane),
        (o * channels + channels - 1 - c) * plane,
      );
  return [
    {
      name: 'channel-order',
      text: "the other side reads the channels in reverse order (RGB instead of BGR): its weights' input channels, or its input, are reversed",
      single: { ...single, blobs: [blobFromFloats(weights.shape, swapped), ...others] },
    },
  ];
}

function pooling(single: SingleLayer): Hypothesis[] {
  const p = (single.layer.pooling_param ?? {}) as { round_mode?: string; pad?: number; kernel_size?: number };
  const isFloor = p.round_mode === 'FLOOR';
  const rounded = isFloor ? 'up' : 'down';
  const mode = isFloor ? 'CEIL' : 'FLOOR';
  const text = `the pooled size is rounded ${rounded} there; Caffe rounds up, unless round_mode: FLOOR is set, as in most other frameworks`;
  return [
    { name: 'pool-rounding', text, single: altered(single, 'pooling_param', { round_mode: mode }) },
    ...(p.kernel_size === 3
      ? [0, 1]
          .filter((pad) => pad !== (p.pad ?? 0))
          .map((pad) => ({
            name: 'pool-rounding' as const,
            text: `the windows are padded by ${pad} and the size is rounded ${pad === 1 ? 'down' : 'up'} there: MSRA's pool1 has pad 0 and rounds up, torchvision's pad 1 and rounds down`,
            single: altered(single, 'pooling_param', { pad, round_mode: pad === 1 ? 'FLOOR' : 'CEIL' }),
          }))
      : []),
  ];
}
