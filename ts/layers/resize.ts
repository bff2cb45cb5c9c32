/**
 * Layers that resize planes: Interp (DeepLab's and PSPNet's forks), ResizeBilinear, ResizeNearestNeighbor and
 * UpsampleDarknet (Synopsys's), Upsample (SegNet's with a mask, MobileNet-YOLO's without) and Unpooling (DeconvNet's). Also
 * Flip (happynear's), which mirrors planes.
 */
import { type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import { type Built, checkTop, type LayerContext, type Layers } from './layer.ts';
import { planesOf } from './window.ts';

export const resizeLayers: Layers = {
  Interp: { build: interp, bottoms: [1, 2] },
  ResizeBilinear: { build: resizeBilinear },
  ResizeNearestNeighbor: { build: resizeNearestNeighbor },
  Upsample: { build: upsample, bottoms: [1, 2] },
  Unpooling: { build: unpooling, bottoms: [2, 2] },
  UpsampleDarknet: { build: upsampleDarknet },
  Flip: { build: flip },
};

interface InterpParameter {
  height: number;
  width: number;
  zoom_factor: number;
  shrink_factor: number;
  pad_beg: number;
  pad_end: number;
  use_blob_size: boolean;
}

/**
 * interp_layer.cpp: bilinear with aligned corners. zoom and shrink take precedence over height and width. With
 * use_blob_size, in soeaver's nets, the top has the size of the second bottom.
 */
function interp(context: LayerContext): Built {
  const { layer } = context;
  const p = withDefaults<InterpParameter>('InterpParameter', layer.interp_param);
  const given = (name: keyof InterpParameter) => layer.interp_param?.[name] !== undefined;
  const at = (name: keyof InterpParameter) => positionOf(layer.interp_param, name);
  const [n, channels, ...sizes] = planesOf(context);
  for (const name of ['pad_beg', 'pad_end'] as const)
    if (p[name] > 0)
      context.fail('pad', `${name} must be 0, or negative to crop; found ${p[name]}`, at(name));
  for (const name of ['zoom_factor', 'shrink_factor'] as const)
    if (p[name] < 1) context.fail('resize', `${name} must be at least 1, found ${p[name]}`, at(name));
  const cut = sizes.map((size) => size + p.pad_beg + p.pad_end);
  if (cut.some((size) => size < 1))
    context.fail('pad', `pad_beg and pad_end cut all of the ${sizes.join('×')} bottom`, 'interp_param');
  const like = context.shapes[1];
  if (p.use_blob_size !== (like !== undefined))
    context.fail(
      'bottom-count',
      `use_blob_size: true needs a second bottom, which gives the size of the top; found ${like === undefined ? 'one bottom' : 'a second bottom without it'}`,
      at('use_blob_size'),
    );
  if (like !== undefined && like.length !== 4)
    context.fail('dimensions', `the second bottom must be N×C×H×W, found ${showShape(like)}`);
  const hasFactor = given('zoom_factor') || given('shrink_factor');
  const shrunk = (size: number) => Math.floor((size - 1) / p.shrink_factor) + 1;
  const zoomed = (size: number) => size + (size - 1) * (p.zoom_factor - 1);
  const made = like
    ? [like[2]!, like[3]!]
    : hasFactor
      ? cut.map((size) =>
          given('zoom_factor') ? zoomed(given('shrink_factor') ? shrunk(size) : size) : shrunk(size),
        )
      : [p.height, p.width];
  if (made.some((size) => size < 1))
    context.fail(
      'resize',
      'expected zoom_factor, shrink_factor, or height and width, each at least 1',
      'interp_param',
    );
  const composed = new Composition(context.shapes);
  const start = -p.pad_beg;
  const inner = [n, channels, ...cut];
  const cropped =
    p.pad_beg === 0 && p.pad_end === 0
      ? composed.bottoms[0]!
      : composed.one({ kind: 'crop', offset: [0, 0, start, start] }, [composed.bottoms[0]!], inner);
  const top = [n, channels, ...made];
  return composed.built([
    showShape(top) === showShape(inner)
      ? cropped
      : composed.one({ kind: 'resize', method: 'aligned' }, [cropped], top),
  ]);
}

interface UpsampleParameter {
  scale?: number;
  scale_h?: number;
  scale_w?: number;
  pad_out_h: boolean;
  pad_out_w: boolean;
  upsample_h?: number;
  upsample_w?: number;
}

/** Two layers share this name. With a second bottom, the mask, it is SegNet's. */
function upsample(context: LayerContext): Built {
  const [n, channels, height, width] = planesOf(context);
  const p = withDefaults<UpsampleParameter>('UpsampleParameter', context.layer.upsample_param);
  const at = (name: keyof UpsampleParameter) => positionOf(context.layer.upsample_param, name);
  if (context.shapes.length === 1) {
    const segnet = (['scale_h', 'scale_w', 'upsample_h', 'upsample_w'] as const).find(
      (name) => p[name] !== undefined,
    );
    if (segnet !== undefined)
      context.fail(
        'bottom-count',
        `${segnet} belongs to SegNet's Upsample, which needs a second bottom, the mask of a max pooling; with one bottom the layer is MobileNet-YOLO's Upsample, which uses scale`,
        at(segnet),
      );
    const { scale = 1 } = p;
    if (scale < 1) context.fail('resize', `scale must be at least 1, found ${scale}`, at('scale'));
    return {
      operation: { kind: 'resize', method: 'nearest' },
      tops: [[n, channels, height * scale, width * scale]],
    };
  }
  checkMask(context);
  const [tall, wide] = (['h', 'w'] as const).map((side) => {
    const explicit = p[`upsample_${side}`];
    if (explicit !== undefined) return explicit;
    const scale = p[`scale_${side}`] ?? p.scale ?? 2;
    const pads = p[`pad_out_${side}`];
    if (scale < 1) context.fail('resize', `the scale must be at least 1, found ${scale}`, 'upsample_param');
    if (pads && scale !== 2)
      context.fail(
        'resize',
        `pad_out_${side} needs a scale of 2, found ${scale}: otherwise the size is not determined`,
        at(`pad_out_${side}`),
      );
    return (side === 'h' ? height : width) * scale - (pads ? 1 : 0);
  }) as [number, number];
  if (tall < 1 || wide < 1) context.fail('resize', `the top would be ${tall}×${wide}`, 'upsample_param');
  return { operation: { kind: 'unpool' }, tops: [[n, channels, tall, wide]] };
}

function checkMask({ shapes, fail }: LayerContext): void {
  const [bottom, mask] = shapes as [Shape, Shape];
  if (showShape(mask) !== showShape(bottom))
    fail('shape', `the mask must be as large as the bottom: ${showShape(bottom)}, found ${showShape(mask)}`);
}

interface UnpoolingParameter {
  unpool: string;
  kernel_size: number;
  stride: number;
  pad: number;
  unpool_size?: number;
}

/**
 * DeconvNet's (github.com/HyeonwooNoh/caffe): moves the results of a max pooling back to the positions in its mask. The size
 * is the given one, or that before the pooling.
 */
function unpooling(context: LayerContext): Built {
  const [n, channels, height, width] = planesOf(context);
  const written = context.layer.unpooling_param;
  const p = withDefaults<UnpoolingParameter>('UnPoolingParameter', written);
  checkMask(context);
  const size = (of: number) => p.unpool_size ?? (of - 1) * p.stride + p.kernel_size - 2 * p.pad;
  const [tall, wide] = [size(height), size(width)];
  if (tall < height || wide < width)
    context.fail(
      'resize',
      `the top would be ${tall}×${wide}, its bottom is ${height}×${width}; give unpool_size, or the pooling's kernel_size, stride and pad`,
      positionOf(written, 'unpool_size') ?? 'unpooling_param',
    );
  return { operation: { kind: 'unpool' }, tops: [[n, channels, tall, wide]] };
}

/** upsample_darknet_layer.cpp of Synopsys's fork: each pixel becomes a square of equal pixels. */
function upsampleDarknet(context: LayerContext): Built {
  const written = context.layer.upsample_darknet_param;
  const { stride } = withDefaults<{ stride: number }>('UpsampleDarknetParameter', written);
  const [n, channels, height, width] = planesOf(context);
  if (stride < 1)
    context.fail('resize', `stride must be at least 1, found ${stride}`, positionOf(written, 'stride'));
  return {
    operation: { kind: 'resize', method: 'nearest' },
    tops: [[n, channels, height * stride, width * stride]],
  };
}

/** The fields that both of Synopsys's resizing layers share. */
interface SynopsysResizeParameter {
  align_corners: boolean;
  half_pixel_centers: boolean;
  data_format: string;
  output_height?: number;
  output_width?: number;
  scale_height: number;
  scale_width: number;
}

/** Height and width of the top. A scaled size is computed in float32, as there: 10 × 0.9 is 9. */
function sizeOf(
  context: LayerContext,
  p: SynopsysResizeParameter,
  [height, width]: readonly [number, number],
  param: string,
): readonly [number, number] {
  const scaled = (size: number, scale: number) =>
    Math.floor(Math.fround(Math.fround(size) * Math.fround(scale)));
  const tall = p.output_height ?? scaled(height, p.scale_height);
  const wide = p.output_width ?? scaled(width, p.scale_width);
  if (tall < 1 || wide < 1) context.fail('resize', `the top would be ${tall}×${wide}`, param);
  return [tall, wide];
}

interface ResizeBilinearParameter extends SynopsysResizeParameter {
  pytorch_half_pixel: boolean;
}

/** resize_bilinear_layer.cpp: TensorFlow's three conventions for the positions of pixels. */
function resizeBilinear(context: LayerContext): Built {
  const written = context.layer.resize_bilinear_param;
  const p = withDefaults<ResizeBilinearParameter>('ResizeBilinearParameter', written);
  const [n, channels, height, width] = planesOf(context);
  if (p.data_format !== 'NCHW')
    context.fail(
      'resize',
      `data_format "${p.data_format}" is not supported; the blobs of Caffe's layers are NCHW`,
      positionOf(written, 'data_format'),
    );
  const ways = (['align_corners', 'half_pixel_centers', 'pytorch_half_pixel'] as const).filter(
    (way) => p[way],
  );
  if (ways.length > 1)
    context.fail(
      'resize',
      `${ways.join(' and ')} place pixels differently; keep one`,
      positionOf(written, ways[1]!),
    );
  const [tall, wide] = sizeOf(context, p, [height, width], 'resize_bilinear_param');
  // PyTorch's convention differs for a single pixel, which is the first one.
  if (p.pytorch_half_pixel && (tall === 1 || wide === 1))
    context.fail(
      'resize',
      `pytorch_half_pixel is not supported for a top of ${tall}×${wide}`,
      positionOf(written, 'pytorch_half_pixel'),
    );
  const method = p.align_corners ? 'aligned' : ways.length > 0 ? 'halfPixel' : 'asymmetric';
  return { operation: { kind: 'resize', method }, tops: [[n, channels, tall, wide]] };
}

/** float32 represents every integer up to this one. */
const MOST_PLACES = 2 ** 24;

interface ResizeNearestParameter extends SynopsysResizeParameter {
  half_pixel_onnx: boolean;
}

/**
 * resize_nearest_neighbor_layer.cpp of synopsys-caffe: the conventions of TensorFlow and ONNX for the positions of
 * pixels.
 */
function resizeNearestNeighbor(context: LayerContext): Built {
  const written = context.layer.resize_nearest_neighbor_param;
  const p = withDefaults<ResizeNearestParameter>('ResizeNearestNeighborParameter', written);
  if (p.data_format !== 'NCHW' && p.data_format !== 'NHWC')
    context.fail(
      'resize',
      `data_format must be "NCHW" or "NHWC", found "${p.data_format}"`,
      positionOf(written, 'data_format'),
    );
  if (p.align_corners && p.half_pixel_centers)
    context.fail(
      'resize',
      'align_corners and half_pixel_centers place pixels differently; keep one',
      positionOf(written, 'half_pixel_centers'),
    );
  planesOf(context);
  const composed = new Composition(context.shapes);
  const isLast = p.data_format === 'NHWC';
  const x = isLast ? composed.permute(composed.bottoms[0]!, [0, 3, 1, 2]) : composed.bottoms[0]!;
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  const [tall, wide] = sizeOf(context, p, [height, width], 'resize_nearest_neighbor_param');
  checkTop(context, [n, channels, tall, wide], 'resize_nearest_neighbor_param');
  if (Math.max(tall, wide) > MOST_PLACES)
    context.fail(
      'unsupported',
      `the top would be ${tall}×${wide}: pixels are placed in float32, which counts only to 2^24`,
      'resize_nearest_neighbor_param',
    );
  for (const [from, to] of [
    [height, tall],
    [width, wide],
  ] as const) {
    const place = nearestPlace(p, from, to);
    for (let i = 0; i < to; i++)
      if (place(i) !== Math.floor((i * from) / to))
        context.fail(
          'unsupported',
          `pixel ${i} of ${to} would be pixel ${place(i)} of ${from} according to its flags and their rounding; supported is pixel ${Math.floor((i * from) / to)}, the position times the ratio of the sizes: remove align_corners and half_pixel_onnx, or use whole scales`,
          'resize_nearest_neighbor_param',
        );
  }
  const resized = composed.one({ kind: 'resize', method: 'nearest' }, [x], [n, channels, tall, wide]);
  return composed.built([isLast ? composed.permute(resized, [0, 2, 3, 1]) : resized]);
}

/** The pixel of `from` for each pixel of `to`, in float32 as in the fork. */
function nearestPlace(p: ResizeNearestParameter, from: number, to: number): (i: number) => number {
  const { fround } = Math;
  const scale = fround(p.align_corners && to > 1 ? (from - 1) / (to - 1) : from / to);
  const within = (place: number) => Math.max(0, Math.min(from - 1, place));
  if (p.align_corners) return (i) => within(Math.round(fround(i * scale)));
  if (p.half_pixel_onnx) return (i) => within(Math.floor(fround(fround(i + 0.5) * scale) - 0.5));
  if (p.half_pixel_centers) return (i) => within(Math.floor(fround(fround(i + 0.5) * scale)));
  return (i) => within(Math.floor(fround(i * scale)));
}

/** flip_layer.cpp */
function flip(context: LayerContext): Built {
  const p = withDefaults<{ flip_width: boolean; flip_height: boolean }>(
    'FlipParameter',
    context.layer.flip_param,
  );
  planesOf(context);
  return {
    operation: { kind: 'flip', height: p.flip_height, width: p.flip_width },
    tops: [context.shapes[0]!],
  };
}
