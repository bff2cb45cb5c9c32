/**
 * The bottleneck ResNets of "Deep Residual Learning for Image Recognition" (He et al., 2015, table 1), written as
 * MSRA published them: names, order, and conv1's bias, which only ResNet-50 has.
 */
import type { LayerParameter, NetParameter } from '../caffe/net-parameter.ts';
import { ArgumentError } from '../errors.ts';

const BLOCKS = { 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3] } as const;

export interface ResnetOptions {
  readonly depth: 50 | 101 | 152;
  /** Outputs of the last layer. Default 1000. */
  readonly classes?: number;
  /** v1 has the stride of a projection block on its first 1×1 convolution, v1.5 on its 3×3. Default v1, as published. */
  readonly version?: 'v1' | 'v1.5';
  /** First dimension of the input. Default 1. */
  readonly batch?: number;
}

/** A deploy net; for 1,000 classes equal to the published prototxt. @throws ArgumentError */
export function resnet(options: ResnetOptions): NetParameter {
  const { depth, classes = 1000, version = 'v1', batch = 1 } = options;
  if (!Object.hasOwn(BLOCKS, depth)) throw new ArgumentError('depth', '50, 101 or 152', depth);
  if (version !== 'v1' && version !== 'v1.5') throw new ArgumentError('version', '"v1" or "v1.5"', version);
  for (const [name, value] of Object.entries({ classes, batch })) {
    if (!Number.isInteger(value) || value < 1) throw new ArgumentError(name, 'an integer from 1', value);
  }
  const layers: LayerParameter[] = [
    { name: 'input', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [batch, 3, 224, 224] }] } },
    ...convolution({
      name: 'conv1',
      suffix: '_conv1',
      bottom: 'data',
      outputs: 64,
      kernel: 7,
      pad: 3,
      stride: 2,
      bias: depth === 50,
    }),
    relu('conv1', 'conv1_relu'),
    {
      name: 'pool1',
      type: 'Pooling',
      bottom: ['conv1'],
      top: ['pool1'],
      pooling_param: { pool: 'MAX', kernel_size: 3, stride: 2 },
    },
  ];
  let bottom = 'pool1';
  BLOCKS[depth].forEach((count, i) => {
    const stage = i + 2;
    for (let block = 0; block < count; block++) {
      const name = `${stage}${blockName(depth, stage, block)}`;
      layers.push(
        ...bottleneck({
          name,
          bottom,
          width: 64 << i,
          stride: block === 0 && i > 0 ? 2 : 1,
          projects: block === 0,
          version,
        }),
      );
      bottom = `res${name}`;
    }
  });
  layers.push(
    {
      name: 'pool5',
      type: 'Pooling',
      bottom: [bottom],
      top: ['pool5'],
      pooling_param: { pool: 'AVE', kernel_size: 7, stride: 1 },
    },
    {
      name: `fc${classes}`,
      type: 'InnerProduct',
      bottom: ['pool5'],
      top: [`fc${classes}`],
      inner_product_param: { num_output: classes },
    },
    { name: 'prob', type: 'Softmax', bottom: [`fc${classes}`], top: ['prob'] },
  );
  return { name: `ResNet-${depth}`, layer: layers };
}

// a, b, c … in ResNet-50; in the deeper two the long stages count a, b1, b2 …
function blockName(depth: number, stage: number, block: number): string {
  if (depth === 50 || stage === 2 || stage === 5) return String.fromCharCode(97 + block);
  return block === 0 ? 'a' : `b${block}`;
}

interface Block {
  name: string;
  bottom: string;
  width: number;
  stride: number;
  projects: boolean;
  version: 'v1' | 'v1.5';
}

function bottleneck({ name, bottom, width, stride, projects, version }: Block): LayerParameter[] {
  const branch = (which: string) => ({
    name: `res${name}_branch${which}`,
    suffix: `${name}_branch${which}`,
    bias: false,
  });
  const [first, second] = version === 'v1' ? [stride, 1] : [1, stride];
  const activated = (which: string) => relu(`res${name}_branch${which}`, `res${name}_branch${which}_relu`);
  return [
    ...(projects
      ? convolution({ ...branch('1'), bottom, outputs: 4 * width, kernel: 1, pad: 0, stride })
      : []),
    ...convolution({ ...branch('2a'), bottom, outputs: width, kernel: 1, pad: 0, stride: first }),
    activated('2a'),
    ...convolution({
      ...branch('2b'),
      bottom: `res${name}_branch2a`,
      outputs: width,
      kernel: 3,
      pad: 1,
      stride: second,
    }),
    activated('2b'),
    ...convolution({
      ...branch('2c'),
      bottom: `res${name}_branch2b`,
      outputs: 4 * width,
      kernel: 1,
      pad: 0,
      stride: 1,
    }),
    {
      name: `res${name}`,
      type: 'Eltwise',
      bottom: [projects ? `res${name}_branch1` : bottom, `res${name}_branch2c`],
      top: [`res${name}`],
    },
    relu(`res${name}`, `res${name}_relu`),
  ];
}

interface Convolution {
  name: string;
  suffix: string;
  bottom: string;
  outputs: number;
  kernel: number;
  pad: number;
  stride: number;
  bias: boolean;
}

function convolution({
  name,
  suffix,
  bottom,
  outputs,
  kernel,
  pad,
  stride,
  bias,
}: Convolution): LayerParameter[] {
  const inPlace = { bottom: [name], top: [name] };
  return [
    {
      name,
      type: 'Convolution',
      bottom: [bottom],
      top: [name],
      convolution_param: {
        num_output: outputs,
        pad: [pad],
        kernel_size: [kernel],
        stride: [stride],
        ...(bias ? {} : { bias_term: false }),
      },
    },
    { name: `bn${suffix}`, type: 'BatchNorm', ...inPlace, batch_norm_param: { use_global_stats: true } },
    { name: `scale${suffix}`, type: 'Scale', ...inPlace, scale_param: { bias_term: true } },
  ];
}

function relu(blob: string, name: string): LayerParameter {
  return { name, type: 'ReLU', bottom: [blob], top: [blob] };
}
