/** Faster R-CNN's training targets for anchors and regions, computed by hand from py-faster-rcnn's description. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphFromCaffe, openDevice, readNet } from '../../ts/index.ts';

const device = await openDevice('reference');
test.after(() => device.dispose());

const input = (name: string, ...shape: number[]) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((size) => `dim: ${size}`).join(' ')} } } }`;
const near = (found: Iterable<number>, expected: readonly number[]) => {
  const values = [...found];
  assert.is(values.length, expected.length);
  values.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) < 1e-5, `${i}: ${value} where ${expected[i]} was expected`);
  });
};

/** One anchor of 16×16 pixels per position: 4×4 anchors tile the image. */
const anchorNet = (objects: number, parameters = '') =>
  readNet(
    `${input('scores', 1, 2, 4, 4)}${input('gt', objects, 5)}${input('info', 1, 3)}${input('data', 1, 3, 64, 64)}
    layer { name: "targets" type: "Python" bottom: "scores" bottom: "gt" bottom: "info" bottom: "data"
      top: "labels" top: "deltas" top: "inside" top: "outside"
      python_param { module: "rpn.anchor_target_layer" layer: "AnchorTargetLayer"
        param_str: "{'feat_stride': 16, 'scales': [1], 'ratios': [1]${parameters}}" } }`,
    { file: 'net.prototxt' },
  );

test('anchors that cover an object, or cover it best, are positive; the rest are negative, and those outside or in between are neither', async () => {
  const net = anchorNet(3);
  using model = await device.load({ model: net });
  const { labels, deltas, inside, outside } = await model.run({
    scores: new Float32Array(32),
    // Exactly the anchor of row 1, column 1; three pixels from that of row 0, column 2 (overlap 208 of 304: below 0.7,
    // but the best); a row of padding.
    gt: Float32Array.of(16, 16, 31, 31, 3, 35, 0, 50, 15, 1, 0, 0, 0, 0, 0),
    info: Float32Array.of(64, 64, 1),
    data: new Float32Array(3 * 64 * 64),
  });
  const at = (row: number, column: number) => 4 * row + column;
  const positive = [at(1, 1), at(0, 2)];
  const places = Array.from({ length: 16 }, (_, place) => place);
  near(
    labels!.data,
    places.map((place) => (positive.includes(place) ? 1 : 0)),
  );
  const weights = places.map((place) => (positive.includes(place) ? 1 : 0));
  near(inside!.data, [weights, weights, weights, weights].flat());
  near(outside!.data, Array<number>(64).fill(1 / 16));
  const delta = (side: number, place: number) => deltas!.data[16 * side + place]!;
  near(
    [0, 1, 2, 3].map((side) => delta(side, at(1, 1))),
    [0, 0, 0, 0],
  );
  near(
    [0, 1, 2, 3].map((side) => delta(side, at(0, 2))),
    [3 / 16, 0, 0, 0],
  );
});

test('a batch has at most the given share of positive anchors, and every run draws the same, starting with the first', async () => {
  const net = anchorNet(4, ", 'RPN_BATCHSIZE': 4, 'RPN_FG_FRACTION': 0.5");
  const corners = [0, 16, 32, 48].flatMap((x) => [x, x, x + 15, x + 15, 1]);
  const labelsOf = async () => {
    using model = await device.load({ model: net });
    const { labels, outside } = await model.run({
      scores: new Float32Array(32),
      gt: Float32Array.from(corners),
      info: Float32Array.of(64, 64, 1),
      data: new Float32Array(3 * 64 * 64),
    });
    assert.is([...outside!.data].filter((weight) => Math.abs(weight - 1 / 4) < 1e-7).length, 4 * 4);
    return [...labels!.data];
  };
  const labels = await labelsOf();
  const count = (label: number) => labels.filter((each) => each === label).length;
  assert.equal([count(1), count(0), count(-1)], [2, 2, 12]);
  assert.equal(await labelsOf(), labels);
});

test('regions over an object learn its class and the regression to its box, in units of the deviations; the others are background', async () => {
  const net = readNet(
    `${input('regions', 4, 5)}${input('gt', 1, 5)}
    layer { name: "targets" type: "Python" bottom: "regions" bottom: "gt"
      top: "rois" top: "labels" top: "deltas" top: "inside" top: "outside"
      python_param { module: "rpn.proposal_target_layer" layer: "ProposalTargetLayer"
        param_str: "{'num_classes': 4, 'BATCH_SIZE': 4, 'FG_FRACTION': 1.0}" } }`,
    { file: 'net.prototxt' },
  );
  using model = await device.load({ model: net });
  const shifted = [18, 16, 33, 31]; // overlap 224 of 288
  const { rois, labels, deltas, inside } = await model.run({
    // The third is elsewhere; the last one, of image −1, is not a region.
    regions: Float32Array.of(0, 16, 16, 31, 31, 0, ...shifted, 0, 0, 0, 5, 5, -1, -1, -1, -1, -1),
    gt: Float32Array.of(16, 16, 31, 31, 3),
  });
  // The object's own box also counts as a region.
  const rows = [0, 1, 2, 3].map((row) => ({
    box: [...rois!.data.subarray(5 * row, 5 * row + 5)],
    label: labels!.data[row]!,
    deltas: [...deltas!.data.subarray(16 * row, 16 * row + 16)],
    inside: [...inside!.data.subarray(16 * row, 16 * row + 16)],
  }));
  const boxes = rows.map(({ box }) => String(box)).sort();
  assert.equal(boxes, ['0,0,0,5,5', '0,16,16,31,31', '0,16,16,31,31', '0,18,16,33,31']);
  for (const { box, label, deltas: moved, inside: weights } of rows) {
    const isObject = box[1] !== 0;
    assert.is(label, isObject ? 3 : 0);
    const ofClass = [...Array<number>(12).fill(0), 1, 1, 1, 1];
    near(weights, isObject ? ofClass : Array<number>(16).fill(0));
    near(moved, [...Array<number>(12).fill(0), ...(box[1] === 18 ? [-2 / 16 / 0.1, 0, 0, 0] : [0, 0, 0, 0])]);
  }
});

test("SSH's anchors need an overlap of 0.5, and of too many examples the hardest by their scores are kept", async () => {
  const targets = readNet(
    `${input('scores', 1, 2, 4, 4)}${input('gt', 4, 5)}${input('info', 1, 3)}${input('data', 1, 3, 64, 64)}${input('hard', 1, 2, 4, 4)}
    layer { name: "targets" type: "Python" bottom: "scores" bottom: "gt" bottom: "info" bottom: "data" bottom: "hard"
      top: "labels" top: "deltas" top: "inside" top: "outside"
      python_param { module: "SSH.layers.anchor_target_layer" layer: "AnchorTargetLayer"
        param_str: "{'feat_stride': 16, 'scales': [1], 'ratios': [1], 'ANCHORS_PER_BATCH': 4, 'ANCHOR_FG_FRACTION': 0.5}" } }`,
    { file: 'net.prototxt' },
  );
  using model = await device.load({ model: targets });
  const objects = [0, 1, 2].map((i) => [16 * i, 16 * i, 16 * i + 15, 16 * i + 15, 1]);
  // 7 of 16 columns of the anchor of row 0, column 3, which is neither positive nor negative.
  const part = [48, 0, 54, 15, 1];
  const scores = Float32Array.from({ length: 16 }, (_, place) => place / 100);
  scores.set([0.9, 0.1, 0.5, 0.15, 0.7], 0);
  scores[5] = 0.2;
  scores[10] = 0.6;
  const { labels } = await model.run({
    scores: new Float32Array(32),
    gt: Float32Array.from([...objects, part].flat()),
    info: Float32Array.of(64, 64, 1),
    data: new Float32Array(3 * 64 * 64),
    hard: Float32Array.from([...new Float32Array(16), ...scores]),
  });
  // Positive are places 0 (score 0.9), 5 (0.2) and 10 (0.6); negative with the highest scores, 4 (0.7) and 2 (0.5).
  const expected = Array<number>(16).fill(-1);
  for (const place of [5, 10]) expected[place] = 1;
  for (const place of [4, 2]) expected[place] = 0;
  near(labels!.data, expected);
});

test("a sixth top has the objects' further label, or their attributes, of which 0 is ignored after the first", async () => {
  const targets = (columns: number, param: string) =>
    readNet(
      `${input('regions', 2, 5)}${input('gt', 2, columns)}
      layer { name: "targets" type: "Python" bottom: "regions" bottom: "gt"
        top: "rois" top: "labels" top: "deltas" top: "inside" top: "outside" top: "further"
        python_param { module: "rpn.proposal_target_layer" layer: "ProposalTargetLayer"
          param_str: "{'num_classes': 4, 'BATCH_SIZE': 4, 'FG_FRACTION': 0.5, ${param}}" } }`,
      { file: 'net.prototxt' },
    );
  const regions = Float32Array.of(0, 0, 0, 5, 5, 0, 40, 40, 50, 50);
  const object = [16, 16, 31, 31, 3];
  {
    using model = await device.load({ model: targets(6, "'bg_aux_label': 55") });
    const { labels, further } = await model.run({
      regions,
      gt: Float32Array.from([...object, 7, ...Array<number>(6).fill(0)]),
    });
    assert.equal(further!.shape, [4, 1]);
    assert.ok([...labels!.data].includes(3));
    near(
      further!.data,
      [...labels!.data].map((label) => (label === 3 ? 7 : 55)),
    );
  }
  {
    using model = await device.load({ model: targets(21, "'num_attr_classes': 401, 'ignore_label': -1") });
    const attributes = [0, 12, 0, ...Array<number>(13).fill(0)];
    const { further } = await model.run({
      regions,
      gt: Float32Array.from([...object, ...attributes, ...Array<number>(21).fill(0)]),
    });
    assert.equal(further!.shape, [2, 16]);
    near(further!.data, [0, 12, ...Array<number>(14).fill(-1), ...Array<number>(16).fill(-1)]);
  }
  const refused = (columns: number, param: string, said: RegExp) =>
    assert.throws(() => graphFromCaffe(targets(columns, param)), said);
  refused(5, "'bg_aux_label': 1", /needs ground truth of 6 columns .*--input-shape gt_boxes=1,6/);
  refused(20, "'num_attr_classes': 4", /needs ground truth of 21 columns/);
  refused(21, "'num_attr_classes': 4, 'num_rel_classes': 2", /num_rel_classes/);
});

test('the layers of makefile/frcnn compute the same, with settings in param_str', async () => {
  const bottoms = `${input('scores', 1, 2, 4, 4)}${input('moves', 1, 4, 4, 4)}${input('gt', 1, 5)}${input('info', 1, 3)}`;
  const settings = `'feat_stride': 16, 'scales': [1], 'ratios': [1], 'num_classes': 3, 'RPN_MIN_SIZE': 1`;
  const inputs = {
    scores: Float32Array.from({ length: 32 }, (_, i) => ((i * 7) % 11) / 11),
    moves: Float32Array.from({ length: 64 }, (_, i) => ((i * 5) % 13) / 130),
    gt: Float32Array.of(16, 16, 31, 31, 2),
    info: Float32Array.of(64, 64, 1),
  };
  const run = async (typeOf: (module: string, layer: string) => string) => {
    const layer = (module: string, name: string, blobs: string) =>
      `layer { name: "${name}" ${blobs} ${typeOf(module, name)} param_str: "{${settings}}" } }`;
    const text = `${bottoms}${layer('rpn.anchor_target_layer', 'AnchorTargetLayer', 'bottom: "scores" bottom: "gt" bottom: "info" top: "a" top: "b" top: "c" top: "d"')}
      ${layer('rpn.proposal_layer', 'ProposalLayer', 'bottom: "scores" bottom: "moves" bottom: "info" top: "rois"')}
      ${layer('rpn.proposal_target_layer', 'ProposalTargetLayer', 'bottom: "rois" bottom: "gt" top: "e" top: "f" top: "g" top: "h" top: "i"')}`;
    using model = await device.load({ model: readNet(text, { file: 'net.prototxt' }) });
    return Object.entries(await model.run(inputs)).map(([name, { shape, data }]) => ({
      name,
      shape,
      data: [...data],
    }));
  };
  const python = await run(
    (module, layer) => `type: "Python" python_param { module: "${module}" layer: "${layer}"`,
  );
  const frcnn = await run((_, layer) => `type: "Frcnn${layer.replace('Layer', '')}" python_param {`);
  assert.equal(frcnn, python);
});

test("SSH's proposals are the best boxes of a module without suppression in phase TEST, and suppressed in phase TRAIN", async () => {
  const text = `${input('scores', 1, 2, 4, 4)}${input('moves', 1, 4, 4, 4)}${input('info', 1, 3)}
    layer { name: "proposal" type: "Python" bottom: "scores" bottom: "moves" bottom: "info" top: "rois" top: "best"
      python_param { module: "SSH.layers.proposal_layer" layer: "ProposalLayer"
        param_str: "{'feat_stride': 1, 'scales': [1], 'ratios': [1], 'N_DETS_PER_MODULE': 5, 'ANCHOR_N_POST_NMS': 4}" } }`;
  const scores = Float32Array.from({ length: 32 }, (_, i) => (i < 16 ? 0 : ((i * 7) % 16) / 16));
  for (const phase of ['TEST', 'TRAIN'] as const) {
    using model = await device.load({ model: readNet(text, { file: 'net.prototxt' }), phase });
    const { rois, best } = await model.run({
      scores,
      // All boxes are moved to that of the first place.
      moves: Float32Array.from({ length: 64 }, (_, i) =>
        i < 16 ? -(i % 4) / 16 : i < 32 ? -Math.floor((i - 16) / 4) / 16 : 0,
      ),
      info: Float32Array.of(64, 64, 1),
    });
    near(best!.data.subarray(0, 5), phase === 'TEST' ? [15, 14, 13, 12, 11].map((i) => i / 16) : [15 / 16]);
    assert.equal(rois!.shape, phase === 'TEST' ? [5, 5] : [1, 5]);
  }
});

test('without settings those of py-faster-rcnn are assumed, with a warning', () => {
  const warnings: string[] = [];
  const listen = (warning: Error & { code?: string }) => warnings.push(`${warning.code}: ${warning.message}`);
  process.on('warning', listen);
  const text = `${input('scores', 1, 18, 4, 4)}${input('moves', 1, 36, 4, 4)}${input('info', 1, 3)}
    layer { name: "proposal" type: "FrcnnProposal" bottom: "scores" bottom: "moves" bottom: "info" top: "rois" top: "said" }`;
  const { nodes, values } = graphFromCaffe(readNet(text, { file: 'net.prototxt' }));
  assert.equal(
    nodes.flatMap(({ outputs }) => outputs.map((id) => values[id]!.shape)),
    [
      [144, 5],
      [144, 1],
    ],
  );
  return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    process.off('warning', listen);
    assert.match(
      warnings.join(),
      /graph\/assumed-settings: layer "proposal" \(FrcnnProposal\): its settings are in a JSON file/,
    );
  });
});

test.run();
