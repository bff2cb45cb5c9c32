/**
 * Windows over volumes in forks' fields, converted to BVLC's. C3D's Convolution3D and Deconvolution3D (facebook/C3D:
 * `kernel_depth`, `temporal_stride` and `temporal_pad` beside one size for height and width) and video-caffe's
 * NdConvolution (chuckcho/video-caffe: `kernel_shape { dim }`) become Convolution and Deconvolution with a size for
 * each axis. Poolings over volumes remain Pooling3D, which BVLC lacks: those above, those of P3D
 * (ZhaofanQiu/pseudo-3d-residual-networks: `kernel_l`, `stride_l`, `pad_l`), and a Pooling with a list of sizes (yjxiong/caffe).
 */
import type { CodeOf } from '../base/error-codes.ts';
import { PrototxtError } from '../base/errors.ts';
import { inheritPosition, type Message, positionOf } from './message.ts';

const SHAPES = ['kernel_shape', 'stride_shape', 'pad_shape'] as const;
const TIMES = ['kernel_depth', 'temporal_stride', 'temporal_pad'] as const;
/** The fork's field shares memory and does not change the result. */
const TUNING = 'filter_group';
/** Caffe's sizes are an int. */
const MOST = 2 ** 31 - 1;
const FIELDS = [...SHAPES, ...TIMES, TUNING];

const NAMES: Readonly<Record<string, string>> = {
  Convolution3D: 'Convolution',
  Deconvolution3D: 'Deconvolution',
  NdConvolution: 'Convolution',
  Pooling3D: 'Pooling3D',
  NdPooling: 'Pooling3D',
};

/**
 * The layer with BVLC's fields.
 * @throws PrototxtError if a size is missing, or if it needs a volume and there is none
 */
export function renameVolumeLayer(layer: Message): Message {
  if (layer.type === 'PoolingND') return ofAnyAxes(layer);
  const written = layer.type as string | undefined;
  const isListed =
    written === 'Pooling' && (layer.pooling_param as Message | undefined)?.kernel_shape !== undefined;
  const type = isListed ? 'NdPooling' : written;
  const isVolume = type !== undefined && Object.hasOwn(NAMES, type);
  const isPooling = isVolume && type.endsWith(type === 'NdPooling' ? 'Pooling' : 'Pooling3D');
  if (!isVolume) {
    refuseFields(layer);
    return layer;
  }
  const name = isPooling ? 'pooling_param' : 'convolution_param';
  const own = isPooling ? 'pooling3d_param' : 'convolution3d_param';
  const { [own]: volume, [name]: plain, ...rest } = layer;
  if (volume !== undefined && plain !== undefined)
    throw refuse(layer, own, 'sizes', `gives both ${own} and ${name}; keep one`);
  const sizes = (volume ?? plain ?? {}) as Message;
  inheritPosition(sizes, layer);
  const param = type.startsWith('Nd')
    ? ofShapes(sizes, isPooling)
    : isPooling
      ? ofPooling(sizes)
      : ofDepth(sizes, layer);
  inheritPosition(param, volume !== undefined || plain !== undefined ? sizes : layer);
  const isPlane = type === 'NdPooling' && param.kernel_depth === undefined;
  const renamed = { ...rest, type: isPlane ? 'Pooling' : NAMES[type], [name]: param };
  inheritPosition(renamed, layer);
  return renamed;
}

/** PoolingND (yulequan/HeartSeg): a Pooling over any number of axes, with one size for all. */
function ofAnyAxes(layer: Message): Message {
  const { pooling_nd_param: own, pooling_param: plain, ...rest } = layer;
  if (own !== undefined && plain !== undefined)
    throw refuse(
      layer,
      'pooling_nd_param',
      'sizes',
      'gives both pooling_nd_param and pooling_param; keep one',
    );
  const renamed = { ...rest, pooling_param: own ?? plain ?? {} };
  inheritPosition(renamed, layer);
  return renamed;
}

function refuse(message: Message, field: string, code: CodeOf<'prototxt'>, text: string): PrototxtError {
  const place = positionOf(message, field) ?? { file: '<message>', line: 1, column: 1 };
  return new PrototxtError(`prototxt/${code}`, place, text);
}

/** For a layer over planes: sizes that only a volume has would otherwise be ignored silently. */
function refuseFields(layer: Message): void {
  for (const name of ['convolution_param', 'pooling_param'] as const) {
    const param = layer[name] as Message | undefined;
    const field = FIELDS.find((each) => param?.[each] !== undefined);
    if (field === undefined) continue;
    const types = (SHAPES as readonly string[]).includes(field)
      ? 'NdConvolution or NdPooling'
      : 'Convolution3D, Deconvolution3D or Pooling3D';
    throw refuse(
      param!,
      field,
      'sizes',
      `${field} belongs to ${types}, this is a ${layer.type}; over volumes BVLC's Convolution takes kernel_size, stride and pad once per axis`,
    );
  }
}

/** convolution3d_layer.cpp: one size along time, one for height and width. */
function ofDepth(param: Message, layer: Message): Message {
  const { kernel_depth: depth, temporal_stride, temporal_pad, filter_group: _, group, ...rest } = param;
  if (depth === undefined)
    throw refuse(param, 'kernel_size', 'sizes', `a ${layer.type} needs kernel_depth, its window along time`);
  if (group !== undefined && group !== 1)
    throw refuse(
      param,
      'group',
      'sizes',
      `a ${layer.type} ignores group: ${group}, all its channels are one group; remove it`,
    );
  const several = (['kernel_size', 'stride', 'pad'] as const).find(
    (field) => [rest[field]].flat().length > 1,
  );
  if (several !== undefined)
    throw refuse(
      param,
      several,
      'sizes',
      `a ${layer.type} takes one ${several} for height and width, found ${[rest[several]].flat().join(', ')}; the one along time is kernel_depth, temporal_stride and temporal_pad`,
    );
  const volume = (time: unknown, plane: unknown, missing: number | undefined) => {
    const [size = missing] = [plane].flat() as (number | undefined)[];
    return size === undefined ? undefined : [(time ?? missing) as number, size, size];
  };
  const sizes = {
    kernel_size: volume(depth, rest.kernel_size, undefined),
    stride: volume(temporal_stride, rest.stride, 1),
    pad: volume(temporal_pad, rest.pad, 0),
  };
  const { kernel_size: __, stride: ___, pad: ____, ...others } = rest;
  return { ...others, ...Object.fromEntries(Object.entries(sizes).filter(([, size]) => size !== undefined)) };
}

/** P3D's names of the sizes along time. */
const LENGTHS = { kernel_l: 'kernel_depth', stride_l: 'temporal_stride', pad_l: 'temporal_pad' } as const;

/** pool3d_layer.cpp of C3D, where there is no pad along time, and pooling3d_layer.cpp of P3D. */
function ofPooling(param: Message): Message {
  const renamed = Object.entries(param).map(([name, value]) => [
    Object.hasOwn(LENGTHS, name) ? LENGTHS[name as keyof typeof LENGTHS] : name,
    value,
  ]);
  const twice = Object.entries(LENGTHS).find(
    ([own, other]) => param[own] !== undefined && param[other] !== undefined,
  );
  if (twice !== undefined)
    throw refuse(param, twice[0], 'sizes', `gives both ${twice[0]} and ${twice[1]}; keep one`);
  const sizes: Message = Object.fromEntries(renamed);
  if (sizes.kernel_depth === undefined && !sizes.global_pooling)
    throw refuse(
      param,
      'kernel_size',
      'sizes',
      'a Pooling3D needs kernel_depth (or kernel_l), its window along time',
    );
  return sizes;
}

/** cudnn_ndconv_layer.cpp, cudnn_ndpooling_layer.cpp: a size for each axis. */
function ofShapes(param: Message, isPooling: boolean): Message {
  const { kernel_shape, stride_shape, pad_shape, ...rest } = param;
  const dims = (shape: unknown) => (shape as { dim?: number[] } | undefined)?.dim;
  const kernel = dims(kernel_shape);
  if (kernel === undefined || kernel.length === 0)
    throw refuse(param, 'kernel_shape', 'sizes', 'needs kernel_shape { dim: … } once per axis');
  const conflicting = ['kernel_size', 'stride', 'pad'].find((field) => rest[field] !== undefined);
  if (conflicting !== undefined)
    throw refuse(param, conflicting, 'sizes', `gives both ${conflicting} and kernel_shape; keep the shapes`);
  const [stride, pad] = [dims(stride_shape), dims(pad_shape)];
  for (const [field, list] of [
    ['stride_shape', stride],
    ['pad_shape', pad],
  ] as const)
    if (list !== undefined && list.length !== kernel.length)
      throw refuse(
        param,
        field,
        'sizes',
        `${field} has ${list.length} sizes, kernel_shape ${kernel.length}; give one for each axis`,
      );
  for (const [field, list, least] of [
    ['kernel_shape', kernel, 1],
    ['stride_shape', stride, 1],
    ['pad_shape', pad, 0],
  ] as const)
    for (const size of list ?? [])
      if (size < least || size > MOST)
        throw refuse(param, field, 'sizes', `${field} takes sizes from ${least} to 2^31 − 1, found ${size}`);
  if (!isPooling)
    return {
      ...rest,
      kernel_size: kernel,
      ...(stride === undefined ? {} : { stride }),
      ...(pad === undefined ? {} : { pad }),
    };
  if (kernel.length !== 2 && kernel.length !== 3)
    throw refuse(
      param,
      'kernel_shape',
      'sizes',
      `pooling is supported over 2 or 3 axes, kernel_shape has ${kernel.length}`,
    );
  const each = (list: readonly number[], [time, ...plane]: readonly string[]) => {
    const [h, w] = list.slice(-2) as [number, number];
    return { [plane[0]!]: h, [plane[1]!]: w, ...(list.length === 3 ? { [time!]: list[0]! } : {}) };
  };
  return {
    ...rest,
    ...each(kernel, ['kernel_depth', 'kernel_h', 'kernel_w']),
    ...(stride === undefined ? {} : each(stride, ['temporal_stride', 'stride_h', 'stride_w'])),
    ...(pad === undefined ? {} : each(pad, ['temporal_pad', 'pad_h', 'pad_w'])),
  };
}
