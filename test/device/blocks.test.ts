/** Rearranging blocks of pixels into channels or items, against TensorFlow's definitions as loops over indices. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

/** The index in x for an index of a top; null: a zero. */
type From = (place: readonly number[]) => readonly number[] | null;

interface Case {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layer: string;
  readonly top: readonly number[];
  readonly from: From;
}

const floor = (a: number, b: number) => Math.floor(a / b);
const CASES: readonly Case[] = [
  {
    name: 'DepthToSpace of NCHW has the places of a block outside',
    shape: [2, 12, 2, 3],
    layer: 'type: "DepthToSpace" depth_to_space_param { block_size: 2 data_format: "NCHW" }',
    top: [2, 3, 4, 6],
    from: ([n, c, y, x]) => [n!, ((y! % 2) * 2 + (x! % 2)) * 3 + c!, floor(y!, 2), floor(x!, 2)],
  },
  {
    name: 'DepthToSpace of CRD has them inside',
    shape: [2, 12, 2, 3],
    layer: 'type: "DepthToSpace" depth_to_space_param { block_size: 2 data_format: "CRD" }',
    top: [2, 3, 4, 6],
    from: ([n, c, y, x]) => [n!, (c! * 2 + (y! % 2)) * 2 + (x! % 2), floor(y!, 2), floor(x!, 2)],
  },
  {
    name: 'DepthToSpace without a format takes channels that stand last',
    shape: [1, 2, 3, 8],
    layer: 'type: "DepthToSpace" depth_to_space_param { block_size: 2 }',
    top: [1, 4, 6, 2],
    from: ([n, y, x, c]) => [n!, floor(y!, 2), floor(x!, 2), ((y! % 2) * 2 + (x! % 2)) * 2 + c!],
  },
  {
    name: 'SpaceToDepth of NCHW',
    shape: [2, 3, 4, 6],
    layer: 'type: "SpaceToDepth" space_to_depth_param { block_size: 2 data_format: "NCHW" }',
    top: [2, 12, 2, 3],
    from: ([n, c, y, x]) => [n!, c! % 3, y! * 2 + floor(c!, 6), x! * 2 + (floor(c!, 3) % 2)],
  },
  {
    name: 'SpaceToDepth without a format',
    shape: [1, 4, 6, 2],
    layer: 'type: "SpaceToDepth" space_to_depth_param { block_size: 2 }',
    top: [1, 2, 3, 8],
    from: ([n, y, x, c]) => [n!, y! * 2 + floor(c!, 4), x! * 2 + (floor(c!, 2) % 2), c! % 2],
  },
  {
    name: 'SpaceToBatchND takes every second pixel of a padded plane as an item',
    shape: [2, 3, 4, 5],
    layer: `type: "SpaceToBatchND" space_to_batch_nd_param { block_shape: [1, 2, 3] paddings: [0, 0, 1, 1, 2, 2] }`,
    top: [12, 3, 3, 3],
    from: ([item, c, y, x]) => {
      const [block, n] = [floor(item!, 2), item! % 2];
      const [row, column] = [y! * 2 + floor(block, 3) - 1, x! * 3 + (block % 3) - 2];
      return row < 0 || row >= 4 || column < 0 || column >= 5 ? null : [n, c!, row, column];
    },
  },
  {
    name: 'BatchToSpaceND puts them back, and cuts',
    shape: [12, 3, 3, 3],
    layer: `type: "BatchToSpaceND" batch_to_space_nd_param { block_shape: [1, 2, 3] crops: [0, 0, 1, 1, 2, 2] }`,
    top: [2, 3, 4, 5],
    from: ([n, c, y, x]) => {
      const [row, column] = [y! + 1, x! + 2];
      return [((row % 2) * 3 + (column % 3)) * 2 + n!, c!, floor(row, 2), floor(column, 3)];
    },
  },
  {
    name: 'UpsampleDarknet makes each pixel a square',
    shape: [2, 3, 2, 3],
    layer: 'type: "UpsampleDarknet" upsample_darknet_param { stride: 3 }',
    top: [2, 3, 6, 9],
    from: ([n, c, y, x]) => [n!, c!, floor(y!, 3), floor(x!, 3)],
  },
];

/** The indices along each axis of the i-th value. */
const placeOf = (shape: readonly number[], i: number) =>
  shape.map((size, axis) => floor(i, elementCount(shape.slice(axis + 1))) % size);
const indexOf = (shape: readonly number[], place: readonly number[]) =>
  place.reduce((index, at, axis) => index * shape[axis]! + at, 0);
const textOf = ({ shape, layer }: Pick<Case, 'shape' | 'layer'>) =>
  `${input('x', shape)}layer { name: "y" bottom: "x" top: "y" ${layer} }`;

for (const device of devices)
  for (const each of CASES)
    test(`${each.name}, on ${device.kind}`, async () => {
      using loaded = await device.load({ model: net(textOf(each)) });
      const x = draw(elementCount(each.shape), 3);
      const { y } = await loaded.run({ x });
      assert.equal(y!.shape, each.top);
      for (let i = 0; i < y!.data.length; i++) {
        const from = each.from(placeOf(each.top, i));
        assert.is(y!.data[i], from === null ? 0 : x[indexOf(each.shape, from)], `${i}`);
      }
    });

for (const each of CASES)
  test(`${each.name}: its diff returns to where the values came from`, async () => {
    await checkGradients(devices[0]!, { net: textOf(each), seed: 4 });
  });

for (const [what, shape, layer, said] of [
  [
    'no block_size',
    [1, 4, 2, 2],
    'type: "DepthToSpace" depth_to_space_param { data_format: "NCHW" }',
    /block_size must be given/,
  ],
  [
    'channels that the block does not divide',
    [1, 6, 2, 2],
    'type: "DepthToSpace" depth_to_space_param { block_size: 2 data_format: "NCHW" }',
    /:\d+:\d+: the square of block_size 2 must divide the 6 channels/,
  ],
  [
    'another format',
    [1, 4, 2, 2],
    'type: "DepthToSpace" depth_to_space_param { block_size: 2 data_format: "CHWN" }',
    /"NHWC", "NCHW", "DCR", "CRD", found "CHWN"/,
  ],
  [
    'sides that the block does not divide',
    [1, 4, 3, 2],
    'type: "SpaceToDepth" space_to_depth_param { block_size: 2 data_format: "NCHW" }',
    /divide height and width, found 3×2/,
  ],
  ['a block without sizes', [1, 4, 2, 2], 'type: "SpaceToBatchND"', /block_shape needs a size.*found none/],
  [
    'too few paddings',
    [1, 4, 2, 2],
    'type: "SpaceToBatchND" space_to_batch_nd_param { block_shape: 2 paddings: 1 }',
    /takes 2 paddings.*found 1/,
  ],
  [
    'a block that does not divide',
    [1, 4, 3, 2],
    'type: "SpaceToBatchND" space_to_batch_nd_param { block_shape: [1, 2] paddings: [0, 0, 0, 0] }',
    /block_shape 2 must divide axis 2 with its paddings, which is 3/,
  ],
  [
    'items that a block does not divide',
    [3, 4, 2, 2],
    'type: "BatchToSpaceND" batch_to_space_nd_param { block_shape: 2 crops: [0, 0] }',
    /must divide the 3 items/,
  ],
  [
    'crops of everything',
    [2, 4, 2, 2],
    'type: "BatchToSpaceND" batch_to_space_nd_param { block_shape: 2 crops: [4, 4] }',
    /leave nothing/,
  ],
  [
    'a stride of 0',
    [1, 4, 2, 2],
    'type: "UpsampleDarknet" upsample_darknet_param { stride: 0 }',
    /stride must be at least 1, found 0/,
  ],
] as const)
  test(`${what}: refused`, () => {
    assertRefused(net(textOf({ shape, layer })), said);
  });

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
