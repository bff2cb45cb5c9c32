/**
 * Reads MatConvNet's nets (https://www.vlfeat.org/matconvnet/mfiles/), DagNN and SimpleNN, from .mat files. The converted
 * layers compute what matlab/+dagnn of MatConvNet 1.0-beta25 does. Filters are height × width × inputs × outputs.
 */
import { WeightsError } from '../../base/errors.ts';
import type { Preprocess } from '../../images/preprocess.ts';
import type { Pair } from '../../layers/operation.ts';
import { mapFile } from '../map-file.ts';
import { fieldsOf, type MatFields, type MatValue, numbersOf, textOf } from '../matlab/mat-value.ts';
import { readMat5 } from '../matlab/read-mat5.ts';
import { readMat73 } from '../matlab/read-mat73.ts';
import { NetMaker, type Pads, type Values } from '../net-maker.ts';
import type { Network } from '../network.ts';
import { type Block, blocksOf, numbers } from './blocks.ts';

/**
 * Reads a net of MatConvNet from a MAT-file of version 5 (plain or compressed) or 7.3. Losses are omitted. The input's
 * mean is meta.normalization.averageImage. Images are RGB, as MATLAB reads them.
 * @param options.inputShapes The input's shape by its name. Default: meta.inputs or meta.normalization.imageSize.
 * @throws WeightsError `matlab/…` for a damaged file, `convert/matconvnet`, `convert/layer` for a layer that has no
 * equivalent here
 * @example const { net, weights } = await readMatConvNet('imagenet-resnet-50-dag.mat');
 */
export async function readMatConvNet(
  file: string,
  options: { inputShapes?: Readonly<Record<string, readonly number[]>> } = {},
): Promise<Network & { preprocess?: Preprocess; notes: readonly string[] }> {
  const bytes = mapFile(file, 'matlab');
  const head = Buffer.from(bytes.subarray(0, 19)).toString('latin1');
  const variables = head === 'MATLAB 7.3 MAT-file' ? await readMat73(file) : await readMat5(bytes, file);
  const { blocks, meta } = blocksOf(variables, file);
  const normalization = fieldsOf(meta.get('normalization'));
  const made = new Set(blocks.flatMap(({ outputs }) => outputs));
  const kept = blocks.filter(({ type }) => !isLoss(type));
  const inputs = [...new Set(kept.flatMap((block) => block.inputs))].filter((name) => !made.has(name));
  if (inputs.length !== 1)
    throw new WeightsError(
      'convert/matconvnet',
      { file },
      `its layers read the inputs ${inputs.join(', ') || 'none'}; only nets with one input are converted`,
    );
  const [input] = inputs as [string];
  const unknown = Object.keys(options.inputShapes ?? {}).find((name) => name !== input);
  if (unknown !== undefined)
    throw new WeightsError(
      'convert/matconvnet',
      { file },
      `it has no input "${unknown}"; its input is "${input}"`,
    );
  const maker = new NetMaker(file);
  const shape = options.inputShapes?.[input] ?? shapeOf(input, meta, normalization, file);
  const tops = new Map([[input, maker.input(input, shape)]]);
  for (const block of inOrder(kept, input, maker)) {
    const bottoms = block.inputs.map((name) => tops.get(name)!);
    const rule = Object.hasOwn(RULES, block.type) ? RULES[block.type]! : null;
    if (rule === null) return maker.fail(block.name, `layers of class dagnn.${block.type} are not converted`);
    if (block.outputs.length !== 1) maker.fail(block.name, `it has ${block.outputs.length} outputs`);
    tops.set(
      block.outputs[0]!,
      rule({ ...block, bottoms, bottom: bottoms[0] ?? '', top: block.outputs[0]! }, maker),
    );
  }
  const losses = blocks.length - kept.length;
  return {
    ...maker.network(textOf(meta.get('name')) ?? 'MatConvNet'),
    notes: losses === 0 ? [] : [`${losses} losses and errors of the training are skipped`],
    ...preprocessOf(normalization, shape),
  };
}

const isLoss = (type: string) => type === 'Loss' || type === 'SoftMaxLoss';

function shapeOf(input: string, meta: MatFields, normalization: MatFields | null, file: string): number[] {
  const inputs = meta.get('inputs');
  const own =
    inputs?.kind === 'struct' ? inputs.items.find((each) => textOf(each.get('name')) === input) : undefined;
  const size = numbersOf(own?.get('size')) ?? numbersOf(normalization?.get('imageSize')) ?? [];
  const [height, width, channels = 3] = size;
  if (height === undefined || width === undefined)
    throw new WeightsError(
      'convert/matconvnet',
      { file },
      `it does not say the size of its input "${input}" (meta.normalization.imageSize); give it with --input-shape ${input}=1x3x224x224 (inputShapes)`,
    );
  return [1, channels, height, width];
}

/**
 * Sorts blocks so that each follows the blocks that make its inputs. A block with an input that nothing makes is
 * refused.
 */
function inOrder(blocks: readonly Block[], input: string, maker: NetMaker): Block[] {
  const made = new Set([input]);
  const waiting = new Map<string, Block[]>();
  const result: Block[] = [];
  const place = (first: Block): void => {
    const stack = [first];
    for (let block = stack.pop(); block !== undefined; block = stack.pop()) {
      const missing = block.inputs.find((name) => !made.has(name));
      if (missing !== undefined) {
        waiting.set(missing, [...(waiting.get(missing) ?? []), block]);
        continue;
      }
      result.push(block);
      for (const output of block.outputs) {
        made.add(output);
        stack.push(...(waiting.get(output) ?? []));
        waiting.delete(output);
      }
    }
  };
  for (const block of blocks) place(block);
  const [[missing, [stuck]] = ['', [undefined]]] = [...waiting];
  if (stuck !== undefined) maker.fail(stuck!.name, `no layer before it produces its input "${missing}"`);
  return result;
}

interface Placed extends Block {
  readonly bottoms: readonly string[];
  readonly bottom: string;
  readonly top: string;
}

type Rule = (block: Placed, maker: NetMaker) => string;

const RULES: Readonly<Record<string, Rule>> = {
  Conv: convolution,
  BatchNorm: batchNorm,
  Scale: scale,
  ReLU(block, maker) {
    const [leak = 0] = numbers(block.properties, 'leak');
    return maker.keepingShape('ReLU', block, leak === 0 ? {} : { relu_param: { negative_slope: leak } });
  },
  Sigmoid: (block, maker) => maker.keepingShape('Sigmoid', block),
  SoftMax: (block, maker) => maker.keepingShape('Softmax', block),
  DropOut(block, maker) {
    const [rate = 0.5] = numbers(block.properties, 'rate');
    return maker.keepingShape('Dropout', block, { dropout_param: { dropout_ratio: rate } });
  },
  LRN(block, maker) {
    const [size = 5, k = 1, alpha = 0.0001 / 5, beta = 0.75] = numbers(block.properties, 'param');
    // Caffe divides α by the size.
    return maker.keepingShape('LRN', block, {
      lrn_param: { local_size: size, k, alpha: alpha * size, beta },
    });
  },
  Pooling: pooling,
  Sum: (block, maker) => maker.eltwise(block, block.bottoms, 'SUM'),
  Concat(block, maker) {
    const [dim = 3] = numbers(block.properties, 'dim');
    if (dim !== 3) maker.fail(block.name, `it joins along dimension ${dim}; only channels (3) are joined`);
    return maker.concat(block, block.bottoms);
  },
};

const pair = (values: readonly number[], missing: number): Pair => {
  const [height = missing, width = height] = values;
  return [height, width];
};

/** [top bottom left right], [vertical horizontal] or one number. */
function padsOf(values: readonly number[], { name }: Block, maker: NetMaker): Pads {
  const [top = 0, second = top, left, right] = values;
  const pads: Pads = left === undefined ? [top, second, top, second] : [top, left, second, right ?? left];
  if (!pads.every((pad) => Number.isInteger(pad) && pad >= 0))
    maker.fail(name, `its pad is ${values.join(', ')}`);
  return pads;
}

/** @param wanted The number of values, if it is known. */
function vector(block: Block, index: number, maker: NetMaker): Float32Array {
  const value = block.params[index];
  if (value?.kind !== 'numeric')
    maker.fail(block.name, `its parameter ${index + 1} is not an array of numbers`);
  return Float32Array.from(value.values());
}

function convolution(block: Placed, maker: NetMaker): string {
  const { name, bottom, properties, params } = block;
  const filter = params[0];
  if (filter?.kind !== 'numeric') return maker.fail(name, 'its filters are not an array of numbers');
  const weights = caffeFilters(filter, name, maker);
  // MATLAB drops trailing dimensions of 1. An empty bias means that there is none.
  const bias = params[1]?.kind === 'numeric' ? vector(block, 1, maker) : null;
  const own = bias === null || bias.length === 0 ? null : bias;
  const [, , ...kernel] = weights.shape as [number, number, number, number];
  const pads = padsOf(numbers(properties, 'pad'), block, maker);
  const dilation = pair(numbers(properties, 'dilate'), 1);
  const [channels, height = 1, width = 1] = maker.shapeOf(bottom, name);
  // In Caffe a window over the whole input is an InnerProduct.
  const isWhole =
    kernel[0] === height &&
    kernel[1] === width &&
    pads.every((pad) => pad === 0) &&
    weights.shape[1] === channels;
  if (isWhole) {
    const [outputs] = weights.shape as [number];
    return maker.innerProduct(
      block,
      { shape: [outputs, weights.values.length / outputs], values: weights.values },
      own,
    );
  }
  return maker.convolution(block, {
    weights,
    bias: own,
    stride: pair(numbers(properties, 'stride'), 1),
    pads,
    dilation,
  });
}

/**
 * Reorders height × width × inputs × outputs with the height fastest to outputs × inputs × height × width with the width
 * fastest.
 */
function caffeFilters(
  { dims, values }: Extract<MatValue, { kind: 'numeric' }>,
  name: string,
  maker: NetMaker,
): Values {
  const [height = 1, width = 1, inputs = 1, outputs = 1, ...more] = dims;
  if (more.some((dim) => dim !== 1)) maker.fail(name, `its filters are ${dims.join('×')}`);
  const from = values();
  const to = new Float32Array(from.length);
  const area = height * width;
  for (let plane = 0, at = 0; plane < inputs * outputs; plane++)
    for (let x = 0; x < width; x++)
      for (let y = 0; y < height; y++) to[plane * area + y * width + x] = from[at++]!;
  return { shape: [outputs, inputs, height, width], values: to };
}

/** vl_nnbnorm: g·(x − μ)/σ + b; the second column of the moments is σ = √(σ² + ε) (vl_nnbnorm.m). */
function batchNorm(block: Placed, maker: NetMaker): string {
  const { name, properties, params } = block;
  if (params.length < 3)
    maker.fail(
      name,
      'it has no moments and would use those of each batch; train it further, or save it with its moments',
    );
  const moments = vector(block, 2, maker);
  const channels = moments.length / 2;
  const [given = 1e-5] = numbers(properties, 'epsilon');
  const deviations = moments.subarray(channels);
  // σ² − ε would be negative if the net was made with a smaller ε.
  const eps = deviations.reduce((least, each) => Math.min(least, each * each), given);
  return maker.batchNorm(
    block,
    {
      mean: moments.slice(0, channels),
      variance: Float32Array.from(deviations, (each) => Math.max(0, each * each - Math.fround(eps))),
      gamma: vector(block, 0, maker),
      beta: vector(block, 1, maker),
      eps,
    },
    // These are the names in MSRA's nets.
    name.startsWith('bn') ? `scale${name.slice(2)}` : `${name}_scale`,
  );
}

function scale(block: Placed, maker: NetMaker): string {
  if (block.bottoms.length !== 1)
    maker.fail(block.name, 'its factors are an input; only parameters are converted');
  return maker.scale(
    block,
    vector(block, 0, maker),
    block.params.length > 1 ? vector(block, 1, maker) : null,
  );
}

/** An average divides by the number of positions inside the image (vl_nnpool.m). */
function pooling(block: Placed, maker: NetMaker): string {
  const { properties, name } = block;
  const size = numbers(properties, properties.has('poolSize') ? 'poolSize' : 'pool');
  const method = textOf(properties.get('method')) ?? 'max';
  if (method !== 'max' && method !== 'avg')
    maker.fail(name, `its method is "${method}", expected max or avg`);
  return maker.pooling(block, {
    method: method === 'max' ? 'max' : 'average',
    kernel: pair(size, 1),
    stride: pair(numbers(properties, 'stride'), 1),
    pads: padsOf(numbers(properties, 'pad'), block, maker),
  });
}

/** averageImage: one value per channel, or height × width × channels. */
function preprocessOf(
  normalization: MatFields | null,
  [, channels = 0, height = 0, width = 0]: readonly number[],
): { preprocess?: Preprocess } {
  const average = normalization?.get('averageImage');
  if (average?.kind !== 'numeric') return {};
  const values = average.values();
  const [rows = 1, columns = 1] = average.dims;
  const isImage = values.length === rows * columns * channels && rows * columns > channels;
  if (!isImage && values.length !== channels) return {};
  const image = new Float32Array(values.length);
  if (isImage)
    for (let channel = 0, at = 0; channel < channels; channel++)
      for (let x = 0; x < columns; x++)
        for (let y = 0; y < rows; y++) image[(channel * rows + y) * columns + x] = values[at++]!;
  // resnode writes this field. MatConvNet itself works with RGB.
  const isBgr = textOf(normalization!.get('colorOrder')) === 'BGR';
  const [crop = 0.875] = numbersOf(normalization!.get('cropSize')) ?? [];
  return {
    preprocess: {
      resize: { shorterSide: Math.round(Math.min(height, width) / (crop > 0 && crop <= 1 ? crop : 1)) },
      crop: { width, height },
      mean: isImage ? { shape: [channels, rows, columns], data: image } : Array.from(values),
      ...(channels === 3 ? { order: isBgr ? 'BGR' : 'RGB' } : {}),
    },
  };
}
