/**
 * Layers of newer Caffe versions and of forks as steps of a random net: those that enlarge maps, move values, or are
 * functions of each value.
 */
import { type Blob, type Builder, type Step, sameShape } from './random-builder.ts';

/** Per channel, as in bilinear upsampling, or with sums over groups. */
const deconvolution: Step = (builder, from) => {
  const { random } = builder;
  const [channels, height, width] = from.shape;
  if (height * width > 200) return from;
  const group = random.pick([1, 1, 2, channels, channels].filter((each) => channels % each === 0));
  const output = group === channels ? channels : group * (1 + random.below(6));
  const [kernel, stride] = [1 + random.below(4), 1 + random.below(3)];
  const pad = random.below(Math.min(kernel, 2));
  const [h, w] = [height, width].map((size) => stride * (size - 1) + kernel - 2 * pad) as [number, number];
  if (h < 1 || w < 1) return from;
  const count = (channels * output * kernel * kernel) / group;
  return builder.layer(
    'Deconvolution',
    [from],
    [output, h, w],
    `${builder.rates(1)} convolution_param { num_output: ${output} kernel_size: ${kernel} stride: ${stride} pad: ${pad} group: ${group} bias_term: false }`,
    [[[channels, output / group, kernel, kernel], builder.values(count, -0.5, 0.5)]],
  );
};

const crop: Step = (builder, from) => {
  const fits = builder.blobs.filter(({ shape }) => shape[1] <= from.shape[1] && shape[2] <= from.shape[2]);
  const like = builder.random.pick(fits.length > 0 ? fits : [from]);
  const room = Math.min(from.shape[1] - like.shape[1], from.shape[2] - like.shape[2]);
  const shape = [from.shape[0], like.shape[1], like.shape[2]] as const;
  return builder.layer(
    'Crop',
    [from, like],
    shape,
    `crop_param { axis: 2 offset: ${builder.random.below(1 + room)} }`,
  );
};

const permute: Step = (builder, from) => {
  const [channels, height, width] = from.shape;
  const order = 'permute_param { order: 0 order: 2 order: 3 order: 1 }';
  return builder.layer('Permute', [from], [height, width, channels], order);
};

const interp: Step = (builder, from) => {
  const [height, width] = [1 + builder.random.below(16), 1 + builder.random.below(16)];
  const size = `interp_param { height: ${height} width: ${width} }`;
  return builder.layer('Interp', [from], [from.shape[0], height, width], size);
};

const tile: Step = (builder, from) => {
  if (from.shape[0] > 8) return from;
  const tiles = 1 + builder.random.below(3);
  const shape = [from.shape[0] * tiles, from.shape[1], from.shape[2]] as const;
  return builder.layer('Tile', [from], shape, `tile_param { axis: 1 tiles: ${tiles} }`);
};

const meanAndVariance: Step = (builder, from) =>
  from.shape[1] * from.shape[2] < 4
    ? from
    : builder.layer(
        'MVN',
        [from],
        from.shape,
        `mvn_param { across_channels: ${builder.chance(2)} eps: 1e-2 }`,
      );

const normalize: Step = (builder, from) =>
  builder.layer(
    'Normalize',
    [from],
    from.shape,
    `${builder.rates(1)} norm_param { across_spatial: ${builder.chance(3)} channel_shared: false }`,
    [[[from.shape[0]], builder.values(from.shape[0], 0.5, 2)]],
  );

const shuffle: Step = (builder, from) => {
  const [channels] = from.shape;
  const group = builder.random.pick([1, 2, 3, channels].filter((each) => channels % each === 0));
  return builder.layer('ShuffleChannel', [from], from.shape, `shuffle_channel_param { group: ${group} }`);
};

const ofEach: Step = (builder, from) => {
  const type = builder.random.pick(['BNLL', 'Swish', 'Mish', 'HardSwish', 'ReLU6', 'Clip']);
  const fields = type === 'Clip' ? `clip_param { min: ${from.shape[0] % 2 === 0 ? 0 : -0.5} max: 1 }` : '';
  return builder.layer(type, [from], from.shape, fields);
};

const ofEachChannel: Step = (builder, from) => {
  const [channels] = from.shape;
  return builder.layer(
    'DepthwiseConvolution',
    [from],
    from.shape,
    `${builder.rates(1)} convolution_param { num_output: ${channels} group: ${channels} kernel_size: 3 pad: 1 bias_term: false }`,
    [[[channels, 1, 3, 3], builder.values(9 * channels, -0.5, 0.5)]],
  );
};

const pointwise = (builder: Builder, from: Blob, output: number): Blob => {
  const [channels, ...size] = from.shape;
  const scale = 1.5 / Math.sqrt(channels);
  return builder.layer(
    'Convolution',
    [from],
    [output, ...size],
    `${builder.rates(1)} convolution_param { num_output: ${output} kernel_size: 1 bias_term: false }`,
    [[[output, channels, 1, 1], builder.values(output * channels, -scale, scale)]],
  );
};

/** Alone, or between two pointwise convolutions as in MobileNets, where the input may be added to the result. */
const depthwise: Step = (builder, from) => {
  if (builder.chance(3)) return ofEachChannel(builder, from);
  const wide = pointwise(builder, from, 5 + builder.random.below(30));
  const each = ofEachChannel(builder, wide);
  const between = builder.chance(2) ? each : builder.layer('ReLU', [each], each.shape, '', [], true);
  const narrow = pointwise(builder, between, builder.random.pick([1, 8, wide.shape[0]]));
  return sameShape(narrow, wide) ? builder.layer('Eltwise', [wide, narrow], wide.shape) : narrow;
};

/** Squeeze and excitation: each channel is multiplied by a function of the whole map. */
const attention: Step = (builder, from) => {
  const [channels] = from.shape;
  const global = 'pooling_param { pool: AVE global_pooling: true }';
  const gate = builder.layer(
    'Sigmoid',
    [builder.layer('Pooling', [from], [channels, 1, 1], global)],
    [channels, 1, 1],
  );
  const same: Blob[] = builder.blobs.filter((blob) => sameShape(blob, from));
  return builder.layer(
    'Axpy',
    [gate, from, builder.random.pick(same.length > 0 ? same : [from])],
    from.shape,
  );
};

export const LATER_STEPS: readonly Step[] = [
  ...[deconvolution, deconvolution, crop, permute, interp, tile, meanAndVariance],
  ...[normalize, shuffle, ofEach, ofEach, depthwise, attention],
];
