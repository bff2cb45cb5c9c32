/** Layers and fields of Synopsys's fork against loops in float64 over indices, or against BVLC's equivalent layers. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { findDetectorHead } from '../../ts/images/detect/head.ts';
import { GraphError, graphFromCaffe } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';
import { randomWeights } from '../support/random-weights.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

function assertClose(found: Float32Array, expected: readonly number[], what: string) {
  assert.is(found.length, expected.length, what);
  expected.forEach((value, i) =>
    assert.ok(
      Math.abs(found[i]! - value) <= 1e-5 * Math.max(1, Math.abs(value)),
      `${what}[${i}]: ${found[i]}, not ${value}`,
    ),
  );
}

function refusal(text: string): string {
  try {
    graphFromCaffe(net(text));
  } catch (error) {
    if (error instanceof GraphError) return error.message;
    throw error;
  }
  return assert.unreachable('it was accepted') as never;
}

/** Each position of the top, as indices along its axes. */
function* places(shape: readonly number[]): Generator<number[]> {
  for (let i = 0; i < elementCount(shape); i++) {
    let rest = i;
    yield shape
      .toReversed()
      .map((size) => {
        const at = rest % size;
        rest = Math.floor(rest / size);
        return at;
      })
      .toReversed();
  }
}

/**
 * The value of a blob at a position, with broadcasting: the blob may have one row where the top has several, and fewer
 * axes.
 */
const at = (data: Float32Array, shape: readonly number[], place: readonly number[]) => {
  const own = place.slice(place.length - shape.length);
  return data[shape.reduce((index, size, axis) => index * size + (size === 1 ? 0 : own[axis]!), 0)]!;
};

const PAIRS: readonly [a: number[], b: number[], top: number[]][] = [
  [
    [2, 3, 4, 5],
    [2, 3, 1, 1],
    [2, 3, 4, 5],
  ],
  [
    [2, 3, 1, 1],
    [2, 3, 4, 5],
    [2, 3, 4, 5],
  ],
  [
    [2, 4, 5, 3],
    [2, 1, 1, 3],
    [2, 4, 5, 3],
  ],
  [[2, 3, 4, 5], [5], [2, 3, 4, 5]],
  [
    [2, 3, 4, 5],
    [2, 3, 4, 5],
    [2, 3, 4, 5],
  ],
  [
    [2, 1, 4, 1],
    [3, 1, 5],
    [2, 3, 4, 5],
  ],
  [[2, 3], [1], [2, 3]],
];

for (const device of devices) {
  for (const [a, b, top] of PAIRS)
    for (const type of ['Mul', 'Add'])
      test(`${type} of ${a.join('×')} and ${b.join('×')} broadcasts axes of size one, on ${device.kind}`, async () => {
        const model = net(
          `${input('a', a)}${input('b', b)}layer { name: "y" type: "${type}" bottom: "a" bottom: "b" top: "y" }`,
        );
        using loaded = await device.load({ model });
        const given = { a: draw(elementCount(a), 1), b: draw(elementCount(b), 2) };
        const { y } = await loaded.run(given);
        assert.equal(y!.shape, top);
        const expected = [...places(top)].map((place) => {
          const [x, z] = [at(given.a, a, place), at(given.b, b, place)];
          return type === 'Mul' ? x * z : x + z;
        });
        assertClose(y!.data, expected, 'y');
      });

  test(`ResizeNearestNeighbor takes the pixel at the position times the ratio, planes first or channels last, on ${device.kind}`, async () => {
    for (const [param, last] of [
      ['data_format: "NCHW" output_height: 8 output_width: 15', false],
      ['data_format: "NCHW" scale_height: 2 scale_width: 3 half_pixel_centers: true', false],
      ['output_height: 2 output_width: 5', true],
    ] as const) {
      const [n, c, h, w] = [2, 3, 4, 5];
      const shape = last ? [n, h, w, c] : [n, c, h, w];
      using loaded = await device.load({
        model: net(
          `${input('x', shape)}layer { name: "y" type: "ResizeNearestNeighbor" bottom: "x" top: "y" resize_nearest_neighbor_param { ${param} } }`,
        ),
      });
      const x = draw(elementCount(shape), 3);
      const { y } = await loaded.run({ x });
      const [tall, wide] = last ? [2, 5] : [8, 15];
      assert.equal(y!.shape, last ? [n, tall, wide, c] : [n, c, tall, wide]);
      const expected = [...places(y!.shape)].map((place) =>
        at(
          x,
          shape,
          place.map((index, axis) => {
            const [row, column] = last ? [1, 2] : [2, 3];
            if (axis === row) return Math.floor((index * h) / tall);
            return axis === column ? Math.floor((index * w) / wide) : index;
          }),
        ),
      );
      assert.equal([...y!.data], expected);
    }
  });

  test(`add_eps_before_sqrt: false adds eps to the deviation, on ${device.kind}`, async () => {
    const model = net(
      `${input('x', [2, 3, 2, 2])}layer { name: "y" type: "BatchNorm" bottom: "x" top: "y" batch_norm_param { use_global_stats: true eps: 0.125 add_eps_before_sqrt: false } }`,
    );
    const weights = randomWeights(graphFromCaffe(model));
    using loaded = await device.load({ model, weights });
    const x = draw(24, 4);
    const { y } = await loaded.run({ x });
    const [mean, variance, factor] = weights.layers[0]!.blobs.map(toFloat32) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const expected = [...x].map((value, i) => {
      const c = Math.floor(i / 4) % 3;
      return (value - mean[c]! / factor[0]!) / (Math.sqrt(variance[c]! / factor[0]!) + 0.125);
    });
    assertClose(y!.data, expected, 'y');
  });
}

const CLASSES = 3;
/** Kinds of boxes, height, width. */
const MAPS = [
  [2, 3, 4],
  [3, 2, 2],
] as const;
const PARAM = `num_classes: ${CLASSES} code_type: CENTER_SIZE confidence_threshold: 0.3 keep_top_k: 12 nms_param { nms_threshold: 0.45 top_k: 20 }`;

/** Maps of scores and locations, priors in SSD's order. */
function drawMaps(images: number) {
  const random = seededRandom(7);
  const blobs: Record<string, { shape: number[]; data: Float32Array }> = {};
  MAPS.forEach(([kinds, height, width], map) => {
    const [all, area] = [kinds * height * width, height * width];
    blobs[`conf${map}`] = {
      shape: [images, CLASSES, kinds, area],
      data: Float32Array.from({ length: images * CLASSES * all }, random),
    };
    blobs[`loc${map}`] = { shape: [images, 4 * kinds, height, width], data: draw(images * 4 * all, 8 + map) };
    const corners = Array.from({ length: all }, () => {
      const [x, y] = [0.6 * random(), 0.6 * random()];
      return [x, y, x + 0.1 + 0.3 * random(), y + 0.1 + 0.3 * random()];
    });
    const variances = Array.from({ length: all }, () => [0.1, 0.1, 0.2, 0.2]);
    blobs[`prior${map}`] = {
      shape: [1, 2, 4 * all],
      data: Float32Array.from([...corners, ...variances].flat()),
    };
  });
  return blobs;
}

/** What SSD's layers before DetectionOutput make: boxes by map, position and kind. */
function inSsdOrder(blobs: ReturnType<typeof drawMaps>, images: number) {
  const loc: number[] = [];
  const conf: number[] = [];
  const corners: number[] = [];
  const variances: number[] = [];
  for (let image = 0; image < images; image++)
    MAPS.forEach(([kinds, height, width], map) => {
      const area = height * width;
      for (let place = 0; place < area; place++)
        for (let kind = 0; kind < kinds; kind++) {
          for (let side = 0; side < 4; side++)
            loc.push(blobs[`loc${map}`]!.data[((image * kinds + kind) * 4 + side) * area + place]!);
          for (let label = 0; label < CLASSES; label++)
            conf.push(blobs[`conf${map}`]!.data[((image * CLASSES + label) * kinds + kind) * area + place]!);
        }
    });
  MAPS.forEach((_, map) => {
    const { data } = blobs[`prior${map}`]!;
    corners.push(...data.subarray(0, data.length / 2));
    variances.push(...data.subarray(data.length / 2));
  });
  return { loc, conf, prior: [...corners, ...variances] };
}

const bottoms = (names: readonly string[]) => names.map((name) => `bottom: "${name}"`).join(' ');
const detection = (names: readonly string[], more: string) =>
  `layer { name: "y" type: "DetectionOutput" ${bottoms(names)} top: "y" detection_output_param { ${PARAM} ${more} } }`;
const ALL = ['conf0', 'conf1', 'loc0', 'loc1', 'prior0', 'prior1'];
const apart = (blobs: ReturnType<typeof drawMaps>, more = 'no_permute: true nbottom: 2') =>
  net(`${ALL.map((name) => input(name, blobs[name]!.shape)).join('')}${detection(ALL, more)}`);

for (const device of devices)
  for (const images of [1, 2])
    test(`no_permute finds the same as SSD's order for ${images} images, on ${device.kind}`, async () => {
      const blobs = drawMaps(images);
      const ssd = inSsdOrder(blobs, images);
      const shapes = {
        loc: [images, ssd.loc.length / images],
        conf: [images, ssd.conf.length / images],
        prior: [1, 2, ssd.prior.length / 2],
      };
      using usual = await device.load({
        model: net(
          `${Object.entries(shapes)
            .map(([name, shape]) => input(name, shape))
            .join('')}${detection(Object.keys(shapes), '')}`,
        ),
      });
      const expected = await usual.run(
        Object.fromEntries(Object.entries(ssd).map(([name, data]) => [name, Float32Array.from(data)])),
      );
      assert.ok(expected.y!.shape[2]! > 4);
      const given = Object.fromEntries(ALL.map((name) => [name, blobs[name]!.data]));
      using loaded = await device.load({ model: apart(blobs) });
      const found = await loaded.run(given);
      assert.equal(found.y!.shape, expected.y!.shape);
      assertClose(found.y!.data, [...expected.y!.data], 'y');
      // All maps together.
      const five = [...ALL.slice(0, 4), 'prior'];
      using together = await device.load({
        model: net(
          `${five.map((name) => input(name, name === 'prior' ? shapes.prior : blobs[name]!.shape)).join('')}${detection(five, 'no_permute: true nbottom: 2')}`,
        ),
      });
      const { prior0: _, prior1: __, ...maps } = given;
      const { y } = await together.run({ ...maps, prior: Float32Array.from(ssd.prior) });
      assertClose(y!.data, [...expected.y!.data], 'y');
    });

test('its scores are searched in all maps, and parameters that do not fit are refused', () => {
  const blobs = drawMaps(1);
  const model = apart(blobs);
  const head = findDetectorHead(model, graphFromCaffe(model));
  assert.equal(head.kind === 'ssd' && head.scores, ['conf0', 'conf1']);
  const text = (more: string, change: Record<string, number[]> = {}) =>
    `${ALL.map((name) => input(name, change[name] ?? blobs[name]!.shape)).join('')}${detection(ALL, more)}`;
  assert.match(refusal(text('')), /takes 3 to 5 bottoms, found 6/);
  assert.match(refusal(text('no_permute: true')), /nbottom: 6 maps take 6 bottoms of scores/);
  const two = 'no_permute: true nbottom: 2';
  assert.match(
    refusal(text(two, { conf1: [1, 3, 4, 3] })),
    /bottom 2 must be scores of 1×3×3×4 .*found 1×3×4×3/,
  );
  assert.match(refusal(text(two, { loc0: [1, 7, 3, 4] })), /bottom 3 must be locations/);
  assert.match(refusal(text(two, { prior0: [1, 2, 4] })), /36 boxes need priors of 1×2×144/);
  assert.match(
    refusal(text(two).replace('top_k: 20', 'soft_nms: true')),
    /soft_nms: true of DeepDetect's fork/,
  );
});

test('a size by a scale is computed in float32, as in the fork', () => {
  for (const type of ['ResizeNearestNeighbor', 'ResizeBilinear'])
    for (const [from, scale, to] of [
      [10, 0.9, 9], // 8.99999976 in float64, for the float32 next to 0.9
      [30, 0.7, 21],
      [10, 0.89, 8],
      [4, 2.5, 10],
      [7, 0.5, 3],
      [100, 0.29, 29],
    ] as const) {
      const param = type === 'ResizeBilinear' ? 'resize_bilinear_param' : 'resize_nearest_neighbor_param';
      const { values } = graphFromCaffe(
        net(
          `${input('x', [1, 1, from, from])}layer { name: "y" type: "${type}" bottom: "x" top: "y" ${param} { data_format: "NCHW" scale_height: ${scale} scale_width: ${scale} } }`,
        ),
      );
      assert.equal(values.at(-1)!.shape, [1, 1, to, to], `${type}: ${from} × ${scale}`);
    }
});

test('unsupported settings are refused with the reason', () => {
  const resize = (param: string) =>
    refusal(
      `${input('x', [1, 2, 4, 5])}layer { name: "y" type: "ResizeNearestNeighbor" bottom: "x" top: "y" resize_nearest_neighbor_param { data_format: "NCHW" ${param} } }`,
    );
  assert.match(
    resize('scale_height: 3 align_corners: true'),
    /pixel 2 of 12 would be pixel 1 of 4 .*; supported is pixel 0, the position/,
  );
  assert.match(resize('scale_height: 2 half_pixel_onnx: true'), /pixel \d of 8 would be pixel/);
  assert.match(resize('output_height: -1'), /the top would be -1×5/);
  assert.match(
    resize('scale_height: 2 align_corners: true half_pixel_centers: true'),
    /align_corners and half_pixel_centers place pixels differently; keep one/,
  );
  assert.match(
    refusal(
      `${input('a', [2, 3])}${input('b', [2, 4])}layer { name: "y" type: "Mul" bottom: "a" bottom: "b" top: "y" }`,
    ),
    /the bottoms are 2×3 and 2×4: from the last axis on/,
  );
  assert.match(
    refusal(
      `${input('x', [1, 2, 4, 5])}layer { name: "y" type: "BatchNorm" bottom: "x" top: "y" batch_norm_param { use_global_stats: false add_eps_before_sqrt: false } }`,
    ),
    /add_eps_before_sqrt: false is supported only with global statistics/,
  );
});

test('diffs pass through Mul and Add, and are summed where a row is repeated', async () => {
  for (const type of ['Mul', 'Add'])
    for (const [a, b] of PAIRS.slice(0, 3)) {
      const text = `${input('a', a)}${input('b', b)}layer { name: "y" type: "${type}" bottom: "a" bottom: "b" top: "y" }`;
      const { compared } = await checkGradients(devices[0]!, { net: text, seed: 1 });
      assert.ok(compared > 0);
    }
});

/** The boxes of a cell in the fork's fields: width and height in pixels. */
const PRIORS = {
  tf: [
    [60 - 0.1 * 80, 60 - 0.1 * 100],
    [60 * Math.SQRT2, 60 / Math.SQRT2],
    [60 / Math.SQRT2, 60 * Math.SQRT2],
    [60 * Math.sqrt(3), 60 / Math.sqrt(3)],
    [60 / Math.sqrt(3), 60 * Math.sqrt(3)],
    [Math.sqrt(60 * 90), Math.sqrt(60 * 90)],
  ],
  keras: [
    [Math.sqrt(60 * 90), Math.sqrt(60 * 90)],
    [60, 60],
    [60 * Math.SQRT2, 60 / Math.SQRT2],
    [60 * Math.sqrt(3), 60 / Math.sqrt(3)],
    [60 / Math.SQRT2, 60 * Math.SQRT2],
    [60 / Math.sqrt(3), 60 * Math.sqrt(3)],
  ],
} as const;

for (const order of ['tf', 'keras'] as const)
  for (const yx of [false, true])
    test(`PriorBox with ${order}${yx ? ' and yx_order' : ''}: the boxes of a cell are in the order of that framework${yx ? ', y before x; variances stay' : ''}`, async () => {
      const text = `${input('map', [1, 4, 2, 3])}${input('image', [1, 3, 100, 80])}
        layer { name: "prior" type: "PriorBox" bottom: "map" bottom: "image" top: "prior" prior_box_param {
          ${order}: true ${yx ? 'yx_order: true' : ''} min_size: 60 max_size: 90 aspect_ratio: 2 aspect_ratio: 3
          variance: 0.1 variance: 0.2 variance: 0.3 variance: 0.4 } }`;
      const expected: number[] = [];
      for (let y = 0; y < 2; y++)
        for (let x = 0; x < 3; x++)
          for (const [width, height] of PRIORS[order]) {
            const [cx, cy] = [((x + 0.5) * 80) / 3, ((y + 0.5) * 100) / 2];
            const [left, right] = [(cx - width / 2) / 80, (cx + width / 2) / 80];
            const [top, bottom] = [(cy - height / 2) / 100, (cy + height / 2) / 100];
            expected.push(...(yx ? [top, left, bottom, right] : [left, top, right, bottom]));
          }
      expected.push(...Array.from({ length: expected.length }, (_, i) => [0.1, 0.2, 0.3, 0.4][i % 4]!));
      for (const device of devices) {
        await using model = await device.load({ model: net(text) });
        const { prior } = await model.run({ map: new Float32Array(24), image: new Float32Array(24000) });
        assertClose(prior!.data, expected, device.name);
      }
    });

test('a square of tf that is empty after clipping is refused', () => {
  assert.match(
    refusal(`${input('map', [1, 4, 2, 3])}${input('image', [1, 3, 600, 80])}
      layer { name: "prior" type: "PriorBox" bottom: "map" bottom: "image" top: "prior" prior_box_param { tf: true min_size: 60 } }`),
    /smaller by 0\.05 of the image on each side, so nothing remains of it in 80×600/,
  );
});

test.run();
