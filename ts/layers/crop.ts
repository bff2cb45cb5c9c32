/** Layers that move the values of a blob: Crop, Tile, BatchReindex, Im2col and Pad (synopsys-caffe). */
import type { Position } from '../base/errors.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { type Built, canonicalAxis, type LayerContext, type Layers } from './layer.ts';
import { columnsOf, spatialWindow } from './spatial-window.ts';

export const cropLayers: Layers = {
  AutoCrop: { build: autoCrop, bottoms: [2, 2] },
  Crop: { build: crop, bottoms: [2, 2] },
  Tile: { build: tile },
  BatchReindex: { build: batchReindex, bottoms: [2, 2] },
  Im2col: { build: im2col },
  Pad: { build: pad },
};

/** Native code supports crops over this many axes. */
const MAX_WALKED_AXES = 8;

/** crop_layer.cpp: the axes from `axis` on get the size of the second bottom, of which only the size is read. */
function crop(context: LayerContext): Built {
  const p = withDefaults<{ axis: number; offset?: number[] }>('CropParameter', context.layer.crop_param);
  const [bottom, reference] = context.shapes as [Shape, Shape];
  const axis = canonicalAxis(context, p.axis, bottom.length);
  if (bottom.length > MAX_WALKED_AXES)
    context.fail('dimensions', `takes up to ${MAX_WALKED_AXES} axes, found ${showShape(bottom)}`);
  if (reference.length !== bottom.length)
    context.fail(
      'shape',
      `needs two bottoms of as many axes, found ${showShape(bottom)} and ${showShape(reference)}`,
    );
  const offsets = p.offset ?? [];
  const cropped = bottom.length - axis;
  if (offsets.length > 1 && offsets.length !== cropped)
    context.fail(
      'offset',
      `${cropped} axes are cropped (from axis ${axis} on), which takes ${cropped} offsets, or one for all; found ${offsets.length}`,
      positionOf(context.layer.crop_param, 'offset'),
    );
  const offset = bottom.map((_, i) => (i < axis ? 0 : (offsets[offsets.length > 1 ? i - axis : 0] ?? 0)));
  const top = bottom.map((size, i) => (i < axis ? size : reference[i]!));
  const outside = top.findIndex((size, i) => offset[i]! + size > bottom[i]!);
  if (outside >= 0)
    context.fail(
      'crop',
      `axis ${outside} has ${bottom[outside]}, of which ${top[outside]} are cut from ${offset[outside]} on: ${offset[outside]! + top[outside]! - bottom[outside]!} too many`,
      positionOf(context.layer.crop_param, 'offset'),
    );
  const layer = new Composition(context.shapes);
  return layer.built([layer.one({ kind: 'crop', offset }, [layer.bottoms[0]!], top)]);
}

/**
 * The Crop of FCN's first forks (CROP in `layers`), whose offset follows from the convolutions, poolings and their transposes
 * between both bottoms and what they have in common (crop_layer.cpp of github.com/longjon/caffe, branch future).
 */
function autoCrop(context: LayerContext): Built {
  const [bottom, reference] = context.shapes as [Shape, Shape];
  if (bottom.length !== 4 || reference.length !== 4)
    context.fail(
      'dimensions',
      `takes bottoms of 4 dimensions (N×C×H×W), found ${showShape(bottom)} and ${showShape(reference)}`,
    );
  const found = context.offsetOfSecond?.() ?? null;
  const instead = 'write type: "Crop" with crop_param { offset: … } instead';
  if (found === null)
    context.fail(
      'crop',
      `its bottoms have no places of one input at one scale, which its offset follows from; ${instead}`,
    );
  const offset = found.map(Math.round) as [number, number];
  if (found.some((each, axis) => Math.abs(each - offset[axis]!) > 1e-3))
    context.fail(
      'crop',
      `the second bottom begins at ${found.join(', ')} in the first, between its pixels; ${instead}`,
    );
  for (const axis of [0, 1] as const)
    if (offset[axis] < 0 || offset[axis] + reference[2 + axis]! > bottom[2 + axis]!)
      context.fail(
        'crop',
        `of ${bottom.slice(2).join('×')} pixels, ${reference.slice(2).join('×')} from ${offset.join(', ')} on are not all there; ${instead}`,
      );
  return {
    steps: [{ operation: { kind: 'crop', offset: [0, 0, ...offset] }, inputs: [0], outputs: [2] }],
    shapes: [bottom, reference, [...bottom.slice(0, 2), ...reference.slice(2)]],
    made: [2],
  };
}

/** tile_layer.cpp: repeats the blob, by Concat. */
function tile(context: LayerContext): Built {
  const p = withDefaults<{ axis: number; tiles?: number }>('TileParameter', context.layer.tile_param);
  const shape = context.shapes[0]!;
  const axis = canonicalAxis(context, p.axis, shape.length);
  const { tiles = 0 } = p;
  if (tiles < 1)
    context.fail(
      'tiles',
      `tiles must be given and at least 1${p.tiles === undefined ? '' : `, found ${tiles}`}`,
      'tile_param',
    );
  const layer = new Composition(context.shapes);
  return layer.built([layer.repeat(layer.bottoms[0]!, axis, tiles)]);
}

/** batch_reindex_layer.cpp */
function batchReindex(context: LayerContext): Built {
  const [shape, indices] = context.shapes as [Shape, Shape];
  if (indices.length !== 1)
    context.fail('shape', `the second bottom, the indices, must have one axis, found ${showShape(indices)}`);
  if (shape.length === 0) context.fail('dimensions', 'the first bottom has no axis of items');
  return { operation: { kind: 'batchReindex' }, tops: [[indices[0]!, ...shape.slice(1)]] };
}

/** im2col_layer.cpp: the matrix that Convolution multiplies; reads convolution_param. */
function im2col(context: LayerContext): Built {
  const window = spatialWindow(context);
  if (window.cut !== undefined)
    context.fail('pad', 'pads opposite sides equally; give pad_h and pad_w', 'convolution_param');
  const { before, channels, sizes } = window;
  const { operation, windows } = columnsOf(context, window);
  const places = elementCount(window.kernel);
  return { operation, tops: [[...before, channels * places, ...(sizes.length === 0 ? [] : windows)]] };
}

/** The number of rows that a Pad joins at once. */
const MAX_PADDING = 512;

/** pad_layer.cpp of Synopsys's fork: adds rows of a constant before and after each axis. */
function pad(context: LayerContext): Built {
  const { paddings = [], constant_values: constant } = withDefaults<{
    paddings?: number[];
    constant_values: number;
  }>('PadParameter', context.layer.pad_param);
  const shape = context.shapes[0]!;
  const at = positionOf(context.layer.pad_param, 'paddings');
  if (paddings.length !== 2 * shape.length)
    context.fail(
      'pad',
      `a bottom of ${shape.length} axes takes ${2 * shape.length} paddings, before and after each; found ${paddings.length}`,
      at,
    );
  const layer = new Composition(context.shapes);
  return layer.built([padded(context, layer, layer.bottoms[0]!, paddings, constant, at)]);
}

/**
 * Adds rows of a constant before and after each axis.
 * @param at The field with their numbers.
 */
export function padded(
  context: LayerContext,
  layer: Composition,
  whole: Part,
  paddings: readonly number[],
  value: number,
  at: Position | undefined,
): Part {
  const { shape } = whole;
  if (shape.length > MAX_WALKED_AXES)
    context.fail('dimensions', `takes up to ${MAX_WALKED_AXES} axes, found ${showShape(shape)}`);
  const most = Math.max(...paddings);
  if (most > MAX_PADDING) context.fail('pad', `takes paddings up to ${MAX_PADDING}, found ${most}`, at);
  const constant = (row: Part): Part => {
    const power = { kind: 'power', power: 0, scale: 1, shift: 0 } as const;
    const one = layer.one(power, [row], row.shape);
    return layer.one({ ...power, power: 1, scale: value }, [one], row.shape);
  };
  return shape.reduce((part, _, axis) => {
    const [before, after] = paddings.slice(2 * axis) as [number, number];
    if (before + after === 0) return part;
    const size = part.shape[axis]!;
    const resized = (length: number) => part.shape.map((each, i) => (i === axis ? length : each));
    const offset = shape.map(() => 0);
    const row = constant(layer.one({ kind: 'crop', offset }, [part], resized(1), [false]));
    const parts = [...Array<Part>(before).fill(row), part, ...Array<Part>(after).fill(row)];
    return layer.one({ kind: 'concat', axis }, parts, resized(before + size + after));
  }, whole);
}
