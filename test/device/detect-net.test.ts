/** DetectNet's boxes: votes of a grid, joined by the rules of OpenCV's groupRectangles. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { groupRectangles } from '../../ts/layers/group-rectangles.ts';
import { assertRefused, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const [ROWS, COLUMNS, STRIDE] = [4, 6, 16];
const text = (layer: string, param: string, classes = 1) => `${input('cover', [2, classes, ROWS, COLUMNS])}
  ${input('boxes', [2, 4, ROWS, COLUMNS])}
  layer { name: "cluster" type: "Python" bottom: "cover" bottom: "boxes"
    ${Array.from({ length: classes }, (_, i) => `top: "list${i}"`).join(' ')}
    python_param { module: "caffe.layers.detectnet.clustering" layer: "${layer}" param_str: "${param}" } }`;

/** Coverage and boxes, relative to their cells, of cells that vote. */
function votes(
  cells: readonly { image: number; row: number; column: number; box: readonly number[]; cover: number }[],
) {
  const plane = ROWS * COLUMNS;
  const [cover, boxes] = [new Float32Array(2 * plane), new Float32Array(8 * plane)];
  for (const { image, row, column, box, cover: value } of cells) {
    const place = row * COLUMNS + column;
    cover[image * plane + place] = value;
    const from = [column * STRIDE, row * STRIDE];
    box.forEach((side, i) => {
      boxes[(4 * image + i) * plane + place] = side - from[i % 2]!;
    });
  }
  return { cover, boxes };
}

const rowsOf = (data: ArrayLike<number>, image: number, count: number) =>
  Array.from({ length: count }, (_, i) =>
    Array.from({ length: 5 }, (_, j) => data[(image * 50 + i) * 5 + j]!),
  );

for (const device of await openPlainDevices()) {
  test(`cells over the threshold vote, and the mean of similar boxes is a row with the logarithm of their number, on ${device.kind}`, async () => {
    using model = await device.load({
      model: net(text('ClusterDetections', '96, 64, 16, 0.6, 2, 0.2, 22')),
    });
    const object = [
      [20, 8, 60, 48],
      [21, 9, 61, 50],
      [19, 8, 60, 46],
    ];
    const cells = object.map((box, i) => ({ image: 1, row: 1, column: 1 + i, box, cover: 0.9 }));
    const unsure = { image: 1, row: 2, column: 1, box: [40, 10, 60, 60], cover: 0.5 };
    // Two votes are not more than two.
    const rare = [0, 1].map((i) => ({ image: 0, row: i, column: 0, box: [2, 2, 40, 40], cover: 1 }));
    const { list0 } = await model.run(votes([...cells, unsure, ...rare]));
    assert.equal(list0!.shape, [2, 50, 5]);
    // The logarithm of 3 as the nearest float16.
    assert.equal(rowsOf(list0!.data, 1, 2), [
      [20, 8, 60, 48, 1.0986328125],
      [0, 0, 0, 0, 0],
    ]);
    assert.equal(rowsOf(list0!.data, 0, 1), [[0, 0, 0, 0, 0]]);
  });

  test(`boxes below the least height are no rows, on ${device.kind}`, async () => {
    using model = await device.load({
      model: net(text('ClusterDetections', '96, 64, 16, 0.6, 1, 0.2, 22, 1')),
    });
    const low = [0, 1].map((column) => ({ image: 0, row: 0, column, box: [0, 0, 90, 21], cover: 1 }));
    const { list0 } = await model.run(votes(low));
    assert.is(Math.max(...list0!.data), 0);
  });

  test(`ClusterGroundtruth has each box of the covered cells once, on ${device.kind}`, async () => {
    using model = await device.load({ model: net(text('ClusterGroundtruth', '96,64,16,1')) });
    const cells = [
      { image: 0, row: 0, column: 1, box: [10, 2, 70, 50], cover: 1 },
      { image: 0, row: 1, column: 1, box: [10, 2, 70, 50], cover: 1 },
      { image: 0, row: 3, column: 5, box: [60, 40, 96, 64], cover: 1 },
    ];
    const { list0 } = await model.run(votes(cells));
    assert.equal(rowsOf(list0!.data, 0, 3), [
      [10, 2, 70, 50, 0],
      [60, 40, 96, 64, 0],
      [0, 0, 0, 0, 0],
    ]);
  });
}

test('a param_str that lacks numbers, and another number of classes, are refused', () => {
  assertRefused(
    net(text('ClusterDetections', '96, 64, 16')),
    /param_str must be 8 numbers separated by commas/,
  );
  assertRefused(
    net(text('ClusterDetections', '96,64,16,0.6,2,0.2,x,1')),
    /least height.*found "96,64,16,0\.6,2,0\.2,x,1"/,
  );
  assertRefused(
    net(text('ClusterDetections', '96,64,16,0.6,2,0.2,22,2')),
    /2 classes need a coverage of N×2×H×W/,
  );
  assertRefused(net(text('ClusterGroundtruth', '96,64,128,1')), /stride of 128 leaves no cell/);
});

type Rectangle = [number, number, number, number];
const near = (x: number, y: number, count: number, size = 40): Rectangle[] =>
  Array.from({ length: count }, (_, i) => [x + (i % 2), y, size, size]);

test('similar rectangles are one group, also by way of others between them, and small groups are dropped', () => {
  // With eps 0.2, sides of 40 may be 8 apart; 0 and 12 are joined by 6.
  const chain: Rectangle[] = [0, 6, 12].map((x) => [x, 5, 40, 40]);
  const lonely: Rectangle = [200, 200, 40, 40];
  assert.equal(groupRectangles([...chain, lonely], 1, 0.2), [{ box: [6, 5, 40, 40], weight: 3 }]);
  assert.equal(groupRectangles([chain[0]!, chain[2]!, lonely], 1, 0.2), []);
  assert.equal(groupRectangles([lonely], 0, 0.2), [{ box: lonely, weight: 1 }]);
});

test('means are rounded to the even neighbour', () => {
  assert.equal(groupRectangles(near(10, 7, 2), 1, 0.2)[0]!.box, [10, 7, 40, 40]);
  assert.equal(groupRectangles(near(11, 7, 2), 1, 0.2)[0]!.box, [12, 7, 40, 40]);
});

test('a group inside another one is dropped if that one has more members', () => {
  const inner = near(100, 100, 3, 10);
  const boxes = (count: number) => groupRectangles([...inner, ...near(80, 80, count, 60)], 2, 0.2).length;
  assert.equal([3, 4, 5].map(boxes), [2, 1, 1]);
  // A group of two is dropped inside any other one.
  assert.is(groupRectangles([...inner.slice(0, 2), ...near(80, 80, 2, 60)], 1, 0.2).length, 1);
});

test.run();
