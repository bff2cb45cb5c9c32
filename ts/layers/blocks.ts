/**
 * Moves the positions of blocks to channels or to items of a batch, and back: DepthToSpace, SpaceToDepth, SpaceToBatchND and
 * BatchToSpaceND of Synopsys's fork (synopsys-caffe), which follow TensorFlow. Each is a Reshape, a Permute and a Reshape.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition } from './compose.ts';
import { padded } from './crop.ts';
import { type Built, checkTop, type LayerContext, type Layers } from './layer.ts';
import { planesOf } from './window.ts';

export const blockLayers: Layers = {
  DepthToSpace: { build: depthToSpace },
  SpaceToDepth: { build: spaceToDepth },
  SpaceToBatchND: { build: spaceToBatch },
  BatchToSpaceND: { build: batchToSpace },
};

interface DepthParameter {
  readonly block_size?: number;
  readonly data_format: string;
}

/** From depth_to_space_param or space_to_depth_param: the block's size, and the axis of the channels. */
function depthOf(
  context: LayerContext,
  param: 'depth_to_space_param' | 'space_to_depth_param',
  formats: readonly string[],
): { block: number; format: string } {
  const message = param === 'depth_to_space_param' ? 'DepthToSpaceParameter' : 'SpaceToDepthParameter';
  const written = context.layer[param];
  const { block_size: block = 0, data_format: format } = withDefaults<DepthParameter>(message, written);
  planesOf(context);
  if (block < 1)
    context.fail(
      'reshape',
      `block_size must be given and at least 1${written?.block_size === undefined ? '' : `, found ${block}`}`,
      positionOf(written, 'block_size') ?? param,
    );
  if (!formats.includes(format))
    context.fail(
      'reshape',
      `data_format must be one of ${formats.map((each) => `"${each}"`).join(', ')}, found "${format}"`,
      positionOf(written, 'data_format'),
    );
  return { block, format };
}

/**
 * depth_to_space_layer.cpp: each pixel's channels become a block of pixels. NCHW is DCR: the position in the block is the
 * outer part.
 */
function depthToSpace(context: LayerContext): Built {
  const { block, format } = depthOf(context, 'depth_to_space_param', ['NHWC', 'NCHW', 'DCR', 'CRD']);
  const layer = new Composition(context.shapes);
  const isLast = format === 'NHWC';
  const x = isLast ? layer.permute(layer.bottoms[0]!, [0, 3, 1, 2]) : layer.bottoms[0]!;
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  if (channels % (block * block) !== 0)
    context.fail(
      'reshape',
      `the square of block_size ${block} must divide the ${channels} channels`,
      positionOf(context.layer.depth_to_space_param, 'block_size'),
    );
  const fewer = channels / (block * block);
  const placed =
    format === 'CRD'
      ? layer.permute(layer.reshape(x, [n, fewer, block, block, height, width]), [0, 1, 4, 2, 5, 3])
      : layer.permute(layer.reshape(x, [n, block, block, fewer, height, width]), [0, 3, 4, 1, 5, 2]);
  const made = layer.reshape(placed, [n, fewer, height * block, width * block]);
  return layer.built([isLast ? layer.permute(made, [0, 2, 3, 1]) : made]);
}

/** space_to_depth_layer.cpp: a block of pixels becomes one pixel's channels. The position in the block is the outer part. */
function spaceToDepth(context: LayerContext): Built {
  const { block, format } = depthOf(context, 'space_to_depth_param', ['NHWC', 'NCHW']);
  const layer = new Composition(context.shapes);
  const isLast = format === 'NHWC';
  const x = isLast ? layer.permute(layer.bottoms[0]!, [0, 3, 1, 2]) : layer.bottoms[0]!;
  const [n, channels, height, width] = x.shape as [number, number, number, number];
  if (height % block !== 0 || width % block !== 0)
    context.fail(
      'reshape',
      `block_size ${block} must divide height and width, found ${height}×${width}`,
      positionOf(context.layer.space_to_depth_param, 'block_size'),
    );
  const [tall, wide] = [height / block, width / block];
  const split = layer.reshape(x, [n, channels, tall, block, wide, block]);
  const made = layer.reshape(layer.permute(split, [0, 3, 5, 1, 2, 4]), [
    n,
    channels * block * block,
    tall,
    wide,
  ]);
  return layer.built([isLast ? layer.permute(made, [0, 2, 3, 1]) : made]);
}

/** A permutation supports this many axes: the bottom's, and one more for each axis of a block. */
const MOST_AXES = 8;

/** A block along the axes after the first, and two numbers for each: the rows before and after. */
function blocksOf(
  context: LayerContext,
  param: 'space_to_batch_nd_param' | 'batch_to_space_nd_param',
  field: 'paddings' | 'crops',
): { block: readonly number[]; around: readonly number[] } {
  const written = context.layer[param] as Record<string, readonly number[]> | undefined;
  const { block_shape: block = [], [field]: around = [] } = written ?? {};
  const [shape] = context.shapes as [Shape];
  if (block.length === 0 || block.length >= shape.length || block.some((size) => size < 1))
    context.fail(
      'reshape',
      `block_shape needs a size of at least 1 for each axis after the first, for 1 to ${shape.length - 1} of them; found ${block.length === 0 ? 'none' : block.join(', ')}`,
      positionOf(written, 'block_shape') ?? param,
    );
  if (around.length !== 2 * block.length)
    context.fail(
      'reshape',
      `a block_shape of ${block.length} takes ${2 * block.length} ${field}, before and after each axis; found ${around.length}`,
      positionOf(written, field) ?? param,
    );
  if (shape.length + block.length > MOST_AXES)
    context.fail(
      'dimensions',
      `blocks along ${block.length} axes of ${shape.length} are more than the ${MOST_AXES} supported axes`,
      positionOf(written, 'block_shape'),
    );
  return { block, around };
}

/**
 * space_to_batch_nd_layer.cpp: adds zeros around, then turns the positions within a block into items. The position is the
 * outer part.
 */
function spaceToBatch(context: LayerContext): Built {
  const { block, around } = blocksOf(context, 'space_to_batch_nd_param', 'paddings');
  const layer = new Composition(context.shapes);
  const rest = context.shapes[0]!.length - 1 - block.length;
  const paddings = [0, 0, ...around, ...Array<number>(2 * rest).fill(0)];
  const at = (field: string) => positionOf(context.layer.space_to_batch_nd_param, field);
  const x = padded(context, layer, layer.bottoms[0]!, paddings, 0, at('paddings'));
  const [n = 1, ...sizes] = x.shape;
  const uneven = block.findIndex((size, i) => sizes[i]! % size !== 0);
  if (uneven >= 0)
    context.fail(
      'reshape',
      `block_shape ${block[uneven]} must divide axis ${uneven + 1} with its paddings, which is ${sizes[uneven]}`,
      at('block_shape'),
    );
  const inner = sizes.slice(block.length);
  const fewer = block.map((size, i) => sizes[i]! / size);
  const split = layer.reshape(x, [n, ...block.flatMap((size, i) => [fewer[i]!, size]), ...inner]);
  const last = split.shape.length - inner.length;
  const order = [
    ...block.map((_, i) => 2 + 2 * i),
    0,
    ...block.map((_, i) => 1 + 2 * i),
    ...inner.map((_, i) => last + i),
  ];
  return layer.built([
    layer.reshape(layer.permute(split, order), [n * elementCount(block), ...fewer, ...inner]),
  ]);
}

/** batch_to_space_nd_layer.cpp: the inverse, followed by a crop. */
function batchToSpace(context: LayerContext): Built {
  const { block, around } = blocksOf(context, 'batch_to_space_nd_param', 'crops');
  const layer = new Composition(context.shapes);
  const [items = 1, ...sizes] = context.shapes[0]!;
  const at = (field: string) => positionOf(context.layer.batch_to_space_nd_param, field);
  const n = items / elementCount(block);
  if (!Number.isInteger(n))
    context.fail(
      'reshape',
      `block_shape ${block.join('×')} must divide the ${items} items of ${showShape(context.shapes[0]!)}`,
      at('block_shape'),
    );
  const inner = sizes.slice(block.length);
  const whole = block.map((size, i) => size * sizes[i]!);
  checkTop(context, [n, ...whole, ...inner], at('block_shape'));
  const top = [n, ...whole.map((size, i) => size - around[2 * i]! - around[2 * i + 1]!), ...inner];
  if (top.some((size) => size < 1))
    context.fail('crop', `crops of ${around.join(', ')} leave nothing of ${showShape(whole)}`, at('crops'));
  const split = layer.reshape(layer.bottoms[0]!, [...block, n, ...sizes]);
  const first = block.length + 1;
  const order = [
    block.length,
    ...block.flatMap((_, i) => [first + i, i]),
    ...inner.map((_, i) => first + block.length + i),
  ];
  const made = layer.reshape(layer.permute(split, order), [n, ...whole, ...inner]);
  const offset = [0, ...block.map((_, i) => around[2 * i]!), ...inner.map(() => 0)];
  const isCut = around.some((size) => size > 0);
  return layer.built([isCut ? layer.one({ kind: 'crop', offset }, [made], top) : made]);
}
