/**
 * Upgrades old nets to today's form, step by step as Caffe does (upgrade_proto.cpp): V0 → V1 → V2, inputs, BatchNorm
 * (including NVIDIA's).
 */
import type { CodeOf } from '../base/error-codes.ts';
import { PrototxtError } from '../base/errors.ts';
import { renameForkLayer } from './fork-names.ts';
import { renameWindowFields } from './fork-windows.ts';
import { inheritPosition, type Message, positionOf } from './message.ts';
import { splitNvidiaLayer } from './nvidia-batch-norm.ts';
import { messages } from './schema.ts';
import { renameVolumeLayer } from './volumes.ts';

type List = Message[];

/**
 * Upgrades a parsed NetParameter without changing it.
 * @throws PrototxtError for what Caffe refuses
 */
export function upgradeNet(net: Message): Message {
  let upgraded = { ...net };
  inheritPosition(upgraded, net);
  if (list(net.layers).length > 0) {
    let layers = list(net.layers);
    if (layers.some((layer) => layer.layer !== undefined))
      layers = foldPadding(layers, net).map(upgradeV0Layer);
    if (list(net.layer).length > 0) {
      throw refuse(
        layers[0]!,
        'mixed-layers',
        'the net has both "layers" (V1) and "layer" (V2); write all as "layer"',
      );
    }
    const { layers: _, ...rest } = upgraded;
    upgraded = { ...rest, layer: layers.map(moveTransform).map(upgradeV1Layer) };
    inheritPosition(upgraded, net);
  }
  upgradeInput(upgraded, net);
  if (upgraded.layer !== undefined)
    upgraded.layer = list(upgraded.layer)
      .map(renameForkLayer)
      .map(renameVolumeLayer)
      .map(renameWindowFields)
      .flatMap(splitNvidiaLayer)
      .map(upgradeBatchNorm);
  return upgraded;
}

/** Upgrades a parsed SolverParameter: `solver_type` becomes `type`. */
export function upgradeSolver(solver: Message): Message {
  if (solver.solver_type === undefined) return solver;
  if (solver.type !== undefined) {
    throw new PrototxtError(
      'prototxt/solver-type',
      positionOf(solver, 'solver_type')!,
      'solver_type (old) and type (new) are both given; keep only type',
    );
  }
  const names: Record<string, string> = {
    SGD: 'SGD',
    NESTEROV: 'Nesterov',
    ADAGRAD: 'AdaGrad',
    RMSPROP: 'RMSProp',
    ADADELTA: 'AdaDelta',
    ADAM: 'Adam',
  };
  const { solver_type, ...rest } = solver;
  const upgraded = { ...rest, type: names[solver_type as string] };
  inheritPosition(upgraded, solver);
  return upgraded;
}

function list(value: unknown): List {
  return (value ?? []) as List;
}

function strings(value: unknown): string[] {
  return (value ?? []) as string[];
}

function refuse(at: Message, code: CodeOf<'prototxt'>, text: string): PrototxtError {
  return new PrototxtError(
    `prototxt/${code}`,
    positionOf(at) ?? { file: '<message>', line: 1, column: 1 },
    text,
  );
}

// A V0 padding layer becomes the pad of the convolution or pooling that reads it.
function foldPadding(layers: List, net: Message): List {
  const lastTop = new Map<string, number>(strings(net.input).map((name) => [name, -1]));
  const result: List = [];
  layers.forEach((connection, index) => {
    const inner = (connection.layer ?? {}) as Message;
    let folded = connection;
    for (const [j, name] of strings(connection.bottom).entries()) {
      const from = lastTop.get(name);
      if (from === undefined)
        throw refuse(
          connection,
          'unknown-bottom',
          `bottom "${name}" is neither the top of a layer above nor an input`,
        );
      const source = from < 0 ? undefined : layers[from];
      const sourceInner = source?.layer as Message | undefined;
      if (source === undefined || sourceInner?.type !== 'padding') continue;
      if (inner.type !== 'conv' && inner.type !== 'pool') {
        throw refuse(
          connection,
          'padding',
          `a padding layer can feed only conv or pool, not "${inner.type}"`,
        );
      }
      if (
        strings(connection.bottom).length !== 1 ||
        strings(source.bottom).length !== 1 ||
        strings(source.top).length !== 1
      ) {
        throw refuse(
          connection,
          'padding',
          'a padding layer and the layer that reads it have one bottom each',
        );
      }
      const bottom = [...strings(connection.bottom)];
      bottom[j] = strings(source.bottom)[0]!;
      folded = { ...connection, bottom, layer: { ...inner, pad: sourceInner.pad ?? 0 } };
      inheritPosition(folded, connection);
    }
    if (inner.type !== 'padding') result.push(folded);
    for (const name of strings(connection.top)) lastTop.set(name, index);
  });
  return result;
}

const V0_TYPES: Readonly<Record<string, string>> = {
  accuracy: 'ACCURACY',
  bnll: 'BNLL',
  concat: 'CONCAT',
  conv: 'CONVOLUTION',
  data: 'DATA',
  dropout: 'DROPOUT',
  euclidean_loss: 'EUCLIDEAN_LOSS',
  flatten: 'FLATTEN',
  hdf5_data: 'HDF5_DATA',
  hdf5_output: 'HDF5_OUTPUT',
  im2col: 'IM2COL',
  images: 'IMAGE_DATA',
  infogain_loss: 'INFOGAIN_LOSS',
  innerproduct: 'INNER_PRODUCT',
  lrn: 'LRN',
  multinomial_logistic_loss: 'MULTINOMIAL_LOGISTIC_LOSS',
  pool: 'POOLING',
  relu: 'RELU',
  sigmoid: 'SIGMOID',
  softmax: 'SOFTMAX',
  softmax_loss: 'SOFTMAX_LOSS',
  split: 'SPLIT',
  tanh: 'TANH',
  window_data: 'WINDOW_DATA',
};
const V0_PARAMS: Readonly<Record<string, string>> = {
  conv: 'convolution_param',
  innerproduct: 'inner_product_param',
  pool: 'pooling_param',
  dropout: 'dropout_param',
  lrn: 'lrn_param',
  data: 'data_param',
  hdf5_data: 'hdf5_data_param',
  images: 'image_data_param',
  window_data: 'window_data_param',
  infogain_loss: 'infogain_loss_param',
  concat: 'concat_param',
};
/** V0 field → its name in the V1 parameter message, and the V0 types that may carry it. */
const V0_FIELDS: readonly (readonly [string, string, readonly string[]])[] = [
  ['num_output', 'num_output', ['conv', 'innerproduct']],
  ['biasterm', 'bias_term', ['conv', 'innerproduct']],
  ['weight_filler', 'weight_filler', ['conv', 'innerproduct']],
  ['bias_filler', 'bias_filler', ['conv', 'innerproduct']],
  ['pad', 'pad', ['conv', 'pool']],
  ['kernelsize', 'kernel_size', ['conv', 'pool']],
  ['group', 'group', ['conv']],
  ['stride', 'stride', ['conv', 'pool']],
  ['pool', 'pool', ['pool']],
  ['dropout_ratio', 'dropout_ratio', ['dropout']],
  ['local_size', 'local_size', ['lrn']],
  ['alpha', 'alpha', ['lrn']],
  ['beta', 'beta', ['lrn']],
  ['k', 'k', ['lrn']],
  ['source', 'source', ['data', 'hdf5_data', 'images', 'window_data', 'infogain_loss']],
  ['batchsize', 'batch_size', ['data', 'hdf5_data', 'images', 'window_data']],
  ['rand_skip', 'rand_skip', ['data', 'images']],
  ['shuffle_images', 'shuffle', ['images']],
  ['new_height', 'new_height', ['images']],
  ['new_width', 'new_width', ['images']],
  ['concat_dim', 'concat_dim', ['concat']],
  ['det_fg_threshold', 'fg_threshold', ['window_data']],
  ['det_bg_threshold', 'bg_threshold', ['window_data']],
  ['det_fg_fraction', 'fg_fraction', ['window_data']],
  ['det_context_pad', 'context_pad', ['window_data']],
  ['det_crop_mode', 'crop_mode', ['window_data']],
];
const V0_TRANSFORM = [
  ['scale', 'scale'],
  ['meanfile', 'mean_file'],
  ['cropsize', 'crop_size'],
  ['mirror', 'mirror'],
] as const;

function upgradeV0Layer(connection: Message): Message {
  const { bottom, top, layer } = connection;
  const result: Message = {};
  inheritPosition(result, connection);
  if (bottom !== undefined) result.bottom = bottom;
  if (top !== undefined) result.top = top;
  if (layer === undefined) return result;
  const v0 = layer as Message;
  const type = v0.type as string | undefined;
  if (v0.name !== undefined) result.name = v0.name;
  if (type !== undefined) {
    if (!Object.hasOwn(V0_TYPES, type))
      throw refuse(
        connection,
        'unknown-type',
        `V0 layer type "${type}" is unknown; known: ${Object.keys(V0_TYPES).join(', ')}`,
      );
    result.type = V0_TYPES[type];
  }
  for (const field of ['blobs', 'blobs_lr', 'weight_decay', 'hdf5_output_param']) {
    if (v0[field] !== undefined) result[field] = v0[field];
  }
  for (const [from, to, types] of V0_FIELDS) {
    // Caffe logs an error for a field that does not belong to the type, drops it and continues.
    if (v0[from] === undefined || type === undefined || !types.includes(type)) continue;
    const param = ((result[V0_PARAMS[type]!] as Message | undefined) ?? {}) as Message;
    const listed = type === 'conv' && ['pad', 'kernel_size', 'stride'].includes(to);
    param[to] = listed ? [v0[from]] : v0[from];
    inheritPosition(param, v0);
    result[V0_PARAMS[type]!] = param;
  }
  for (const [from, to] of V0_TRANSFORM) {
    if (v0[from] !== undefined)
      result.transform_param = { ...(result.transform_param as Message | undefined), [to]: v0[from] };
  }
  return result;
}

// Scale, mean, crop and mirror once belonged to each data layer.
function moveTransform(layer: Message): Message {
  const owner = { DATA: 'data_param', IMAGE_DATA: 'image_data_param', WINDOW_DATA: 'window_data_param' }[
    layer.type as string
  ];
  if (owner === undefined) return layer;
  const fields = ['scale', 'mean_file', 'crop_size', 'mirror'];
  const param = { ...(layer[owner] as Message | undefined) };
  if (!fields.some((field) => param[field] !== undefined)) return layer;
  const transform = { ...(layer.transform_param as Message | undefined) };
  for (const field of fields) {
    if (param[field] === undefined) continue;
    transform[field] = param[field];
    delete param[field];
  }
  const moved = { ...layer, [owner]: param, transform_param: transform };
  inheritPosition(moved, layer);
  return moved;
}

const V1_SPECIAL: Readonly<Record<string, string>> = {
  NONE: '',
  ABSVAL: 'AbsVal',
  BNLL: 'BNLL',
  HDF5_DATA: 'HDF5Data',
  HDF5_OUTPUT: 'HDF5Output',
  LRN: 'LRN',
  MVN: 'MVN',
  RELU: 'ReLU',
  SOFTMAX_LOSS: 'SoftmaxWithLoss',
  TANH: 'TanH',
  ARGMAX: 'ArgMax',
  IM2COL: 'Im2col',
  CONVOLUTION3D: 'Convolution3D',
  DECONVOLUTION3D: 'Deconvolution3D',
  POOLING3D: 'Pooling3D',
  CROP: 'AutoCrop',
  BN: 'BN',
};

/** V1 enum name → V2 type string. */
export function v1TypeName(type: string): string {
  return (
    V1_SPECIAL[type] ??
    type
      .split('_')
      .map((word) => word[0] + word.slice(1).toLowerCase())
      .join('')
  );
}

function upgradeV1Layer(layer: Message): Message {
  if (layer.layer !== undefined)
    throw refuse(layer, 'v0-in-v1', 'a V0 layer is inside a V1 layer of another form');
  const { param, blob_share_mode, blobs_lr, weight_decay, type, ...rest } = layer;
  const upgraded: Message = {};
  for (const [field, value] of Object.entries(rest))
    if (Object.hasOwn(messages.LayerParameter!, field)) upgraded[field] = value;
  if (type !== undefined) upgraded.type = v1TypeName(type as string);
  const columns: readonly (readonly [string, unknown])[] = [
    ['name', param],
    ['share_mode', blob_share_mode],
    ['lr_mult', blobs_lr],
    ['decay_mult', weight_decay],
  ];
  const specs: Message[] = [];
  for (const [field, values] of columns) {
    for (const [i, value] of ((values ?? []) as unknown[]).entries()) {
      specs[i] ??= {};
      specs[i]![field] = value;
    }
  }
  if (specs.length > 0) upgraded.param = Array.from(specs, (spec) => spec ?? {});
  inheritPosition(upgraded, layer);
  return upgraded;
}

// `input` with `input_shape` or `input_dim` becomes a first layer named "input". Without either it is dropped.
function upgradeInput(net: Message, original: Message): void {
  const names = strings(net.input);
  if (names.length === 0) return;
  const shapes = list(net.input_shape);
  const dims = (net.input_dim ?? []) as number[];
  if (shapes.length > 0 || dims.length > 0) {
    const given = shapes.length > 0 ? shapes.length : dims.length / 4;
    if (given < names.length) {
      throw new PrototxtError(
        'prototxt/input-shape',
        positionOf(original, 'input') ?? { file: '<message>', line: 1, column: 1 },
        `${names.length} inputs need ${shapes.length > 0 ? `${names.length} input_shape` : `${names.length * 4} input_dim`}, found ${shapes.length || dims.length}`,
      );
    }
    const layer: Message = {
      name: 'input',
      type: 'Input',
      top: names,
      input_param: {
        shape: names.map((_, i) => (shapes.length > 0 ? shapes[i] : { dim: dims.slice(4 * i, 4 * i + 4) })),
      },
    };
    inheritPosition(layer, original);
    net.layer = [layer, ...list(net.layer)];
  }
  delete net.input;
  delete net.input_shape;
  delete net.input_dim;
}

const zeroedRates = new WeakSet<object>();

/** Whether a BatchNorm has explicit rates for its three blobs, which were set to 0. */
export const hadRatesZeroed = (layer: object): boolean => zeroedRates.has(layer);

function upgradeBatchNorm(layer: Message): Message {
  if (layer.type !== 'BatchNorm' || list(layer.param).length !== 3) return layer;
  const specs = list(layer.param);
  const upgraded = { ...layer, param: specs.map((spec) => ({ ...spec, lr_mult: 0, decay_mult: 0 })) };
  inheritPosition(upgraded, layer);
  if (hadRatesZeroed(layer) || specs.some(({ lr_mult = 1 }) => lr_mult !== 0)) zeroedRates.add(upgraded);
  return upgraded;
}
