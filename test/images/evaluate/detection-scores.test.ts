/** Average precision: PASCAL VOC's by hand, COCO's compared with pycocotools. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scoreDetections } from '../../../ts/api/images.ts';
import { seededRandom } from '../../../ts/base/random.ts';
import type { FoundObject, ScoredImage, TrueObject } from '../../../ts/images/evaluate/boxes/truth.ts';

const boxAt = (x: number, width = 10, y = 0, height = 10) => ({ x, y, width, height });
const there = (x: number, more: Partial<TrueObject> = {}): TrueObject => ({
  label: 'a',
  box: boxAt(x),
  ...more,
});
const found = (score: number, x: number, more: Partial<FoundObject> = {}): FoundObject => ({
  ...{ label: 'a', score, box: boxAt(x) },
  ...more,
});
const voc = (objects: readonly TrueObject[], boxes: readonly FoundObject[]) => {
  const { voc07, voc10 } = scoreDetections([{ objects, found: boxes }]);
  return [voc07, voc10].map((value) => (value === null ? null : Math.round(value * 1e9) / 1e9));
};
const elevenths = (...bests: readonly number[]) =>
  Math.round((bests.reduce((a, b) => a + b) / 11) * 1e9) / 1e9;

test('an object that is found is right, a second detection of it is wrong', () => {
  assert.equal(voc([there(0)], [found(0.9, 0)]), [1, 1]);
  assert.equal(voc([there(0), there(50)], [found(0.9, 0), found(0.8, 0), found(0.7, 50)]), [
    elevenths(...Array<number>(6).fill(1), ...Array<number>(5).fill(2 / 3)),
    Math.round((0.5 + 0.5 * (2 / 3)) * 1e9) / 1e9,
  ]);
});

test('an overlap of exactly the threshold does not exceed it: wrong in VOC', () => {
  // 10×10 and 20×10 from the same corner share 100 of 200.
  assert.equal(voc([there(0)], [found(0.9, 0, { box: boxAt(0, 20) })]), [0, 0]);
  assert.equal(voc([there(0)], [found(0.9, 0, { box: boxAt(0, 19.9) })]), [1, 1]);
});

test('a difficult object does not count, however often it is found; alone it leaves no class', () => {
  const difficult = there(50, { isDifficult: true });
  assert.equal(voc([there(0), difficult], [found(0.9, 50), found(0.8, 50), found(0.7, 0)]), [1, 1]);
  assert.equal(voc([difficult], [found(0.9, 50)]), [null, null]);
});

test('the best overlap decides, even if its object is already matched', () => {
  // The second box overlaps the first object more, which is already matched; VOC does not try the next best.
  const objects = [there(0), there(4)];
  const boxes = [found(0.9, 0), found(0.8, 1)];
  assert.equal(voc(objects, boxes)[1], 0.5);
});

test('of equal scores the earlier one comes first', () => {
  const wrong = found(0.9, 500);
  assert.equal(voc([there(0)], [found(0.9, 0), wrong]), [1, 1]);
  assert.equal(voc([there(0)], [wrong, found(0.9, 0)]), [0.5, 0.5]);
});

test('recalls are over all images, precisions per class', () => {
  const images: ScoredImage[] = [
    { objects: [there(0)], found: [found(0.5, 0)] },
    { objects: [there(0, { label: 'b' })], found: [found(0.9, 0), found(0.8, 0, { label: 'b' })] },
    { objects: [], found: [] },
  ];
  const { voc10, classes } = scoreDetections(images);
  assert.equal(
    classes.map(({ label, objects, found, voc10 }) => [label, objects, found, voc10]),
    [
      ['a', 1, 2, 0.5],
      ['b', 1, 1, 1],
    ],
  );
  assert.is(voc10, 0.75);
  assert.equal(
    scoreDetections(images, { labels: ['b'] }).classes.map(({ label }) => label),
    ['b'],
  );
});

test('VOC 2007 takes eleven recalls, the fourth slightly above 0.3, as in numpy', () => {
  const objects = Array.from({ length: 10 }, (_, i) => there(50 * i));
  const boxes = [found(0.9, 0), found(0.8, 50), found(0.7, 100)];
  assert.equal(voc(objects, boxes), [elevenths(1, 1, 1), 0.3]);
});

/** Boxes of three classes in all kinds of sizes, with crowds, ties and misses. */
function scene(seed: number): ScoredImage[] {
  const next = seededRandom(seed);
  const from = (least: number, most: number) => Math.round(least + (most - least) * next());
  return Array.from({ length: 12 }, () => {
    const objects = Array.from({ length: from(0, 7) }, (): TrueObject => {
      const side = [from(8, 30), from(34, 90), from(100, 200)][from(0, 2)]!;
      const box = { x: from(0, 300), y: from(0, 300), width: side, height: from(side / 2, side) };
      const isCrowd = next() < 0.15;
      return {
        ...{ label: ['cat', 'dog', 'owl'][from(0, 2)]!, box, isCrowd },
        area: Math.round(box.width * box.height * (0.5 + next() / 2)),
      };
    });
    const near = objects.flatMap(({ label, box }): FoundObject[] =>
      Array.from({ length: from(0, 3) }, () => ({
        label: next() < 0.1 ? 'owl' : label,
        score: from(1, 20) / 20,
        box: {
          x: box.x + from(-4, 4),
          y: box.y + from(-4, 4),
          width: Math.max(1, box.width + from(-5, 5)),
          height: Math.max(1, box.height + from(-5, 5)),
        },
      })),
    );
    const elsewhere = Array.from(
      { length: from(0, 3) },
      (): FoundObject => ({
        ...{ label: 'dog', score: from(1, 20) / 20 },
        box: { x: from(0, 300), y: from(0, 300), width: from(5, 120), height: from(5, 120) },
      }),
    );
    return { objects, found: [...near, ...elsewhere] };
  });
}

const NAMES = [
  ...['ap', 'ap50', 'ap75', 'apSmall', 'apMedium', 'apLarge'],
  ...['ar1', 'ar10', 'ar100', 'arSmall', 'arMedium', 'arLarge'],
] as const;
const ours = (images: readonly ScoredImage[]) => {
  const { coco } = scoreDetections(images) as unknown as { coco: Record<string, number | null> };
  return NAMES.map((name) => coco[name] ?? -1);
};

/** The results of pycocotools 2.0.11 for the scenes of these seeds. */
const RECORDED: Readonly<Record<number, readonly number[]>> = {
  1: [
    0.3370882956659103, 0.5396034224491035, 0.3988478025521386, 0.0801077543651801, 0.45552126617394983, 0.7,
    0.2192307692307692, 0.4905982905982906, 0.4905982905982906, 0.1375, 0.6058823529411764, 0.95,
  ],
  2: [
    0.23381085713694985, 0.40007967457323007, 0.2084426658984684, 0.22910957762442907, 0.35398301734935395,
    0.733201320132013, 0.2872727272727272, 0.4853535353535353, 0.4853535353535353, 0.36666666666666664,
    0.4666666666666667, 0.8155555555555556,
  ],
  3: [
    0.27539502120684756, 0.5698173256733959, 0.17847988438034565, 0.21358117542523478, 0.3850091131148974,
    0.6475742574257425, 0.2304425837320574, 0.5153907496012758, 0.5153907496012758, 0.3401515151515151,
    0.6438888888888888, 0.9333333333333333,
  ],
  4: [
    0.2504364813618034, 0.42268616544092635, 0.2856207728077268, 0.25196683954109694, 0.40793921145348055,
    0.045803866100895804, 0.2263888888888889, 0.4860890652557319, 0.4860890652557319, 0.36296296296296293,
    0.701010101010101, 0.09523809523809522,
  ],
};

test("COCO's twelve figures equal pycocotools' recorded ones", () => {
  for (const [seed, expected] of Object.entries(RECORDED))
    for (const [i, value] of ours(scene(Number(seed))).entries())
      assert.ok(
        Math.abs(value - expected[i]!) < 1e-12,
        `seed ${seed}, ${NAMES[i]}: ${value}, ${expected[i]}`,
      );
});

const SCRIPT = `
import contextlib, io, json, sys
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
result = []
for images in json.load(sys.stdin):
    labels = sorted({o['label'] for i in images for o in i['objects']})
    place = lambda b: [b['x'], b['y'], b['width'], b['height']]
    truth = [dict(image_id=n + 1, category_id=labels.index(o['label']) + 1, bbox=place(o['box']), area=o['area'],
                  iscrowd=int(o['isCrowd'])) for n, i in enumerate(images) for o in i['objects']]
    for n, each in enumerate(truth): each['id'] = n + 1
    found = [dict(image_id=n + 1, category_id=labels.index(f['label']) + 1, bbox=place(f['box']), score=f['score'])
             for n, i in enumerate(images) for f in i['found'] if f['label'] in labels]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dict(images=[dict(id=n + 1) for n in range(len(images))], annotations=truth,
                            categories=[dict(id=n + 1, name=l) for n, l in enumerate(labels)])
        coco.createIndex()
        e = COCOeval(coco, coco.loadRes(found), 'bbox')
        e.evaluate(); e.accumulate(); e.summarize()
    result.append(list(e.stats))
print(json.dumps(result))
`;

test('and those that pycocotools computes now, if it is installed', () => {
  const python = process.env.RESNODE_PYTHON ?? 'python3';
  const found = spawnSync(python, ['-c', 'import pycocotools.cocoeval'], { encoding: 'utf8' });
  if (found.status !== 0)
    return console.log(
      `skipped: ${python} has no pycocotools (pip install pycocotools; RESNODE_PYTHON names another Python)`,
    );
  const scenes = [1, 2, 3, 4, 5, 6].map(scene);
  const { status, stdout, stderr } = spawnSync(python, ['-c', SCRIPT], {
    input: JSON.stringify(scenes),
    encoding: 'utf8',
  });
  assert.is(status, 0, stderr);
  for (const [s, expected] of (JSON.parse(stdout) as number[][]).entries())
    for (const [i, value] of ours(scenes[s]!).entries())
      assert.ok(
        Math.abs(value - expected[i]!) < 1e-12,
        `scene ${s + 1}, ${NAMES[i]}: ${value}, ${expected[i]}`,
      );
});

test.run();
