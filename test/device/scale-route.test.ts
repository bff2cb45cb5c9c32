/** Routing the regions of a pyramid by size and joining them again, against the rule computed row by row. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphFromCaffe } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();
const emulated = await openEmulated();
if (emulated !== null) devices.push(emulated);

type Range = readonly [low: number | null, high: number | null];
const LEVELS: readonly Range[] = [
  [null, 16],
  [16, 32],
  [32, 64],
  [64, null],
];
const bounds = ([low, high]: Range) =>
  `scale_route_param { ${low === null ? '' : `low_scale: ${low}`} ${high === null ? '' : `high_scale: ${high}`} }`;

const route = (of: string, more: string, to: string, range: Range) =>
  `layer { name: "${to}" type: "ScaleRoute" bottom: "${of}" bottom: "${more}" top: "${to}" top: "${to}_f" ${bounds(range)} }`;
const concat = (bottoms: readonly string[], top: string) =>
  `layer { name: "${top}" type: "Concat" ${bottoms.map((bottom) => `bottom: "${bottom}"`).join(' ')} top: "${top}" concat_param { axis: 0 } }`;

/** Routes of regions and of one feature each; the features are joined before the regions, as in the fork's nets. */
const stage = (of: string, more: string, name: string, levels: readonly Range[]) => {
  const tops = levels.map((_, i) => `${name}${i}`);
  return [
    ...levels.map((range, i) => route(of, more, tops[i]!, range)),
    concat(
      tops.map((top) => `${top}_f`),
      `${name}_f`,
    ),
    concat(tops, name),
  ].join('\n');
};

type Row = readonly number[];
const scaleOf = ([, x1, y1, x2, y2]: Row) => Math.sqrt((x2! - x1! + 1) * (y2! - y1! + 1));

/** The rows whose scale is within the range; if there is none, the one nearest to its middle. */
function taken(rows: readonly Row[], [low, high]: Range): Row[] {
  const within = rows.filter((row) => scaleOf(row) >= (low ?? 0) && scaleOf(row) < (high ?? Infinity));
  if (within.length > 0) return within;
  const middle = low !== null && high !== null ? Math.sqrt(low * high) : (low ?? high ?? 256);
  const apart = (row: Row) => Math.abs(Math.log2(scaleOf(row) / middle));
  return [rows.reduce((best, row) => (apart(row) < apart(best) ? row : best))];
}

/** Squares with these sides in an image. */
const squares = (sides: readonly number[]): Row[] =>
  sides.map((side, i) => [0, 3 + i, 5, 3 + i + side - 1, 5 + side - 1]);
const flat = (rows: readonly Row[]) => Float32Array.from(rows.flat());

const CASES: readonly [what: string, sides: readonly number[], levels: readonly Range[]][] = [
  ['each level has regions', [8, 40, 20, 100, 12, 63, 64, 16, 31], LEVELS],
  ['a level without one takes the nearest, too', [8, 40, 9, 41], LEVELS],
  ['one region is on each level', [20], LEVELS],
  [
    'ranges that meet have regions twice',
    [8, 40, 20, 100],
    [
      [null, 32],
      [16, null],
    ],
  ],
  ['a range of everything', [8, 40], [[null, null]]],
];

for (const device of devices)
  for (const [what, sides, levels] of CASES)
    test(`${what}, on ${device.kind}`, async () => {
      const rows = squares(sides);
      const model = net(`${input('rois', [rows.length, 5])}${input('given', [rows.length, 3, 1, 1])}
        ${stage('rois', 'given', 'first', levels)}\n${stage('first', 'first_f', 'second', levels)}
        ${['first', 'first_f'].map((name) => `layer { name: "p_${name}" type: "Power" bottom: "${name}" top: "p_${name}" }`).join('\n')}`);
      using loaded = await device.load({ model });
      const given = draw(3 * rows.length, 6);
      const outputs = await loaded.run({ rois: flat(rows), given });
      // A feature follows its region.
      const withFeatures = rows.map((row, i): Row => [...row, ...given.subarray(3 * i, 3 * i + 3)]);
      const first = levels.flatMap((level) => taken(withFeatures, level));
      const second = levels.flatMap((level) => taken(first, level));
      for (const [name, expected] of [
        ['p_first', first],
        ['second', second],
      ] as const) {
        const regions = outputs[name]!;
        const features = outputs[`${name}_f`]!;
        assert.equal(regions.shape, [expected.length, 5], name);
        assert.equal(features.shape, [expected.length, 3, 1, 1], name);
        assert.equal([...regions.data], [...flat(expected.map((row) => row.slice(0, 5)))], name);
        assert.equal([...features.data], [...flat(expected.map((row) => row.slice(5)))], name);
      }
    });

test('a route has as many rows as regions come in; where they are joined, at most one per level is added', () => {
  const graph = graphFromCaffe(
    net(
      `${input('rois', [300, 5])}${input('given', [300, 3, 1, 1])}${stage('rois', 'given', 'first', LEVELS)}
      ${stage('first', 'first_f', 'second', LEVELS)}`,
    ),
  );
  const rowsOf = (name: string) => graph.values[graph.blobs.get(name)!]!.shape[0];
  assert.equal(['first0', 'first', 'second'].map(rowsOf), [300, 303, 306]);
});

test('diffs of joined features return through the levels to the maps', async () => {
  const levels = LEVELS.slice(0, 2);
  const text = `${input('label_rois', [3, 5])}${levels.map((_, i) => input(`map${i}`, [1, 2, 6, 6])).join('')}
    ${levels
      .map(
        (
          range,
          i,
        ) => `layer { name: "r${i}" type: "ScaleRoute" bottom: "label_rois" top: "r${i}" ${bounds(range)} }
      layer { name: "a${i}" type: "ROIAlign" bottom: "map${i}" bottom: "r${i}" top: "a${i}"
        roi_pooling_param { pooled_w: 2 pooled_h: 2 spatial_scale: 0.25 } }`,
      )
      .join('\n')}${concat(['a0', 'a1'], 'y')}`;
  const rois = flat(squares([10, 20, 12]));
  await checkGradients(devices[0]!, {
    net: text,
    seed: 7,
    fill: (name, count, random) =>
      name === 'label_rois' ? rois : Float32Array.from({ length: count }, () => 2 * random() - 1),
  });
});

for (const [what, text, said] of [
  [
    'another number of tops',
    'bottom: "rois" bottom: "given" top: "a"',
    /needs as many tops as bottoms, found 1 and 2/,
  ],
  ['regions of four numbers', 'bottom: "given" top: "a"', /takes regions R×5 first.*found 4×3×1×1/],
  [
    'a range that ends before it begins',
    'bottom: "rois" top: "a" scale_route_param { low_scale: 9 high_scale: 3 }',
    /:\d+:\d+: high_scale must be at least low_scale, found 3 and 9/,
  ],
  [
    'rows of other widths, joined',
    `bottom: "rois" bottom: "given" top: "a" top: "b" }
    layer { name: "c" type: "Concat" bottom: "a" bottom: "b" top: "c" concat_param { axis: 0 }`,
    /layer "c" \(Concat\)/,
  ],
  [
    'routed rows behind others',
    `bottom: "rois" top: "a" }
    layer { name: "c" type: "Concat" bottom: "a" bottom: "rois" top: "c" concat_param { axis: 0 }`,
    /layer "c" \(Concat\).*joins rows of a ScaleRoute with others/,
  ],
  [
    'rows of several routes side by side',
    `bottom: "rois" top: "a" scale_route_param { high_scale: 9 } }
    layer { name: "q" type: "ScaleRoute" bottom: "rois" top: "b" scale_route_param { low_scale: 9 } }
    layer { name: "c" type: "Concat" bottom: "a" bottom: "b" top: "c" concat_param { axis: 1 }`,
    /layer "c" \(Concat\).*joins rows of several ScaleRoutes/,
  ],
  [
    'a bound of 0',
    'bottom: "rois" top: "a" scale_route_param { low_scale: 0 }',
    /low_scale must be above 0, found 0/,
  ],
] as const)
  test(`${what}: refused`, () => {
    assertRefused(
      net(
        `${input('rois', [4, 5])}${input('given', [4, 3, 1, 1])}layer { name: "r" type: "ScaleRoute" ${text} }`,
      ),
      said,
    );
  });

for (const [what, row, said] of [
  ['no region at all', [-1, -1, -1, -1, -1], /layer "r".*its first bottom has no region$/],
  [
    'regions without an area, in no range and near to none',
    [0, 5, 5, 3, 3],
    /layer "r".*the regions of its first bottom have no area \(the first: image 0, 5,5 to 3,3\)/,
  ],
  [
    'regions that are not finite',
    [0, Number.NaN, 0, 9, 9],
    /layer "r".*have no area \(the first: image 0, NaN,0 to 9,9\)/,
  ],
] as const)
  test(`${what}: an error that names the layer`, async () => {
    using loaded = await devices[0]!.load({
      model: net(
        `${input('rois', [2, 5])}layer { name: "r" type: "ScaleRoute" bottom: "rois" top: "a" scale_route_param { low_scale: 4 } }`,
      ),
    });
    try {
      await loaded.run({ rois: flat([row, row]) });
      assert.unreachable();
    } catch (error) {
      assert.match((error as Error).message, said);
    }
  });

test.after(() => {
  for (const device of devices) device.dispose();
});
test.run();
