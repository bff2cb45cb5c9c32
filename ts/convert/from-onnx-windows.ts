/** Conv, the pools and Pad → Convolution and Pooling. */
import type { Message } from '../caffe/message.ts';
import type { NodeContext } from './node-context.ts';
import { blobOfTensor, integersOf } from './onnx-constants.ts';
import { poolingFromOnnx } from './onnx-pooling.ts';

type Two = readonly [number, number];
type Four = readonly [top: number, left: number, bottom: number, right: number];

/** @throws WeightsError where a list of two is expected and there is another */
function two(node: NodeContext, name: string, missing: Two | null): Two {
  const list = node.integers(name) ?? missing ?? node.fail(`${name} is missing`);
  if (list.length !== 2)
    node.fail(`${name} is ${list.join(', ')}; only windows over height and width are converted`);
  return list as unknown as Two;
}

function imageOf(node: NodeContext) {
  const value = node.activation(0, { takesZeros: true });
  if (value.shape.length !== 4) node.fail(`its input is ${value.shape.join('×')}; only N×C×H×W is converted`);
  return { ...value, size: [value.shape[2]!, value.shape[3]!] as Two };
}

function padsOf(node: NodeContext, size: Two, extent: Two, strides: Two): Four {
  const auto = node.text('auto_pad', 'NOTSET');
  if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
    const total = ([0, 1] as const).map((i) =>
      Math.max(0, (Math.ceil(size[i] / strides[i]) - 1) * strides[i] + extent[i] - size[i]),
    ) as [number, number];
    const low = total.map((each) => Math.floor(each / 2)) as [number, number];
    const high = total.map((each) => Math.ceil(each / 2)) as [number, number];
    return auto === 'SAME_UPPER' ? [...low, ...high] : [...high, ...low];
  }
  const pads = auto === 'VALID' ? [0, 0, 0, 0] : (node.integers('pads') ?? [0, 0, 0, 0]);
  if (pads.length !== 4 || pads.some((each) => !(each >= 0)))
    node.fail(`pads are ${pads.join(', ')}; expected four numbers from 0 on`);
  return pads as unknown as Four;
}

/** Fields of a window, as short as Caffe allows: `kernel_size: 3`, or `kernel_h` and `kernel_w`. */
function sides(name: 'kernel' | 'stride' | 'pad', [h, w]: Two, missing: number | null): Message {
  if (h !== w) return { [`${name}_h`]: h, [`${name}_w`]: w };
  return h === missing ? {} : { [name === 'kernel' ? 'kernel_size' : name]: h };
}

/** Caffe's repeated fields. */
const repeated = (message: Message): Message =>
  Object.fromEntries(
    Object.entries(message).map(([name, value]) => [name, /_[hw]$/.test(name) ? value : [value]]),
  );

export function conv(node: NodeContext) {
  const { name: bottom, size, zeros } = imageOf(node);
  const tensor = node.constant(1) ?? node.fail('its weights are no constant');
  if (tensor.shape.length !== 4)
    node.fail(
      `its weights are ${tensor.shape.join('×')}; only convolutions over height and width are converted`,
    );
  const kernel: Two = [tensor.shape[2]!, tensor.shape[3]!];
  const strides = two(node, 'strides', [1, 1]);
  const dilations = two(node, 'dilations', [1, 1]);
  const extent = ([0, 1] as const).map((i) => dilations[i] * (kernel[i] - 1) + 1) as unknown as Two;
  const pads = padsOf(node, [size[0] + 2 * zeros[0], size[1] + 2 * zeros[1]], extent, strides);
  if (pads[0] !== pads[2] || pads[1] !== pads[3])
    node.fail(`pads are ${pads.join(', ')} (top, left, bottom, right); Caffe pads opposite sides alike`);
  const outputs = tensor.shape[0]!;
  const bias = node.constant(2);
  if (bias === null && node.inputCount > 2 && node.node.inputs[2] !== '')
    node.fail('its bias is no constant');
  const blobs = [tensor, ...(bias === null ? [] : [bias])].map(
    (each) => blobOfTensor(each) ?? node.fail(`"${each.name}" is ${each.type}, expected float32`),
  );
  const group = node.integer('group', 1);
  node.layer(
    {
      name: node.layerName(tensor),
      type: 'Convolution',
      bottom: [bottom],
      convolution_param: {
        num_output: outputs,
        ...(bias === null ? { bias_term: false } : {}),
        ...repeated(sides('pad', [pads[0] + zeros[0], pads[1] + zeros[1]], 0)),
        ...repeated(sides('kernel', kernel, null)),
        ...repeated(sides('stride', strides, 1)),
        ...(dilations[0] === 1 && dilations[1] === 1
          ? {}
          : { dilation: dilations[0] === dilations[1] ? [dilations[0]] : [...dilations] }),
        ...(group === 1 ? {} : { group }),
      },
    },
    blobs,
  );
}

function pool(node: NodeContext, method: 'max' | 'average') {
  const { name: bottom, size, zeros } = imageOf(node);
  const kernel = two(node, 'kernel_shape', null);
  const strides = two(node, 'strides', [1, 1]);
  const dilations = two(node, 'dilations', [1, 1]);
  if (dilations[0] !== 1 || dilations[1] !== 1)
    node.fail(`dilations ${dilations.join(', ')} do not exist in Caffe's Pooling`);
  if ([...kernel, ...strides].some((each) => !(each >= 1)))
    node.fail('kernel and strides must be at least 1');
  const padded: Two = [size[0] + 2 * zeros[0], size[1] + 2 * zeros[1]];
  const result = poolingFromOnnx(
    {
      method,
      kernel,
      strides,
      pads: padsOf(node, padded, kernel, strides),
      ceilMode: node.integer('ceil_mode', 0) !== 0,
      countIncludePad: node.integer('count_include_pad', 0) !== 0,
    },
    zeros,
    size,
  );
  if (result.kind === 'refused') return node.fail(result.reason);
  node.layer({
    name: node.layerName(),
    type: 'Pooling',
    bottom: [bottom],
    pooling_param: {
      pool: method === 'max' ? 'MAX' : 'AVE',
      ...sides('pad', result.pad, 0),
      ...sides('kernel', kernel, null),
      ...sides('stride', strides, 1),
      ...(result.roundMode === 'FLOOR' ? { round_mode: 'FLOOR' } : {}),
    },
  });
}

export function maxPool(node: NodeContext) {
  const { zeros } = node.activation(0, { takesZeros: true });
  if (zeros[0] + zeros[1] > 0) node.fail('a Pad node put zeros before it; Caffe pads a maximum with nothing');
  if (node.node.outputs.length > 1 && node.node.outputs[1] !== '')
    node.fail("its indices count over the whole blob, Caffe's mask within a channel");
  pool(node, 'max');
}

export function averagePool(node: NodeContext) {
  pool(node, 'average');
}

export const globalPool = (method: 'MAX' | 'AVE') => (node: NodeContext) => {
  node.activation(0);
  imageOf(node);
  node.layer({
    name: node.layerName(),
    type: 'Pooling',
    pooling_param: { pool: method, global_pooling: true },
  });
};

/** A mean over height and width is global pooling. */
export function reduceMean(node: NodeContext) {
  const { shape } = node.activation(0);
  const given = node.constant(1);
  const axes = (given === null ? null : integersOf(given)) ?? node.integers('axes') ?? [];
  const sorted = axes.map((axis) => (axis < 0 ? axis + shape.length : axis)).sort((a, b) => a - b);
  if (shape.length !== 4 || sorted.join() !== '2,3')
    node.fail(
      `it averages over axes ${axes.join(', ') || 'all'}; only height and width (2, 3) are converted`,
    );
  const pooling_param = { pool: 'AVE', global_pooling: true };
  if (node.integer('keepdims', 1) !== 0)
    return node.layer({ name: node.layerName(), type: 'Pooling', pooling_param });
  const between = `${node.node.outputs[0]}/pool`;
  node.layer({ name: node.layerName(), type: 'Pooling', top: [between], pooling_param });
  node.layer({ name: node.layerName(), type: 'Flatten', bottom: [between] });
}

/** Kept beside the value until a Conv or AveragePool takes it along; Caffe has no layer for it. */
export function pad(node: NodeContext) {
  const value = node.activation(0);
  const given = node.constant(1);
  const pads =
    (given === null ? null : integersOf(given)) ??
    node.integers('pads') ??
    node.fail('its pads are no constant');
  const fill = node.constant(2);
  const filled = fill === null ? null : blobOfTensor(fill);
  const isZero = filled === null ? node.float('value', 0) === 0 : filled.bytes.every((byte) => byte === 0);
  if (pads.every((each) => each === 0)) return node.alias(value);
  if (node.text('mode', 'constant') !== 'constant' || !isZero) node.fail('it pads with other values than 0');
  const [n, c, top, left] = pads;
  const isAlike = pads.length === 8 && pads.slice(0, 4).every((each, i) => each === pads[i + 4]);
  if (n !== 0 || c !== 0 || !isAlike || !(top! >= 0 && left! >= 0))
    node.fail(`pads are ${pads.join(', ')}; Caffe pads opposite sides of height and width alike`);
  node.alias({ ...value, zeros: [top!, left!] });
}
