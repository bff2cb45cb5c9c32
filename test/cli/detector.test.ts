/** A newcomer's SSD: pictures with VOC's annotations → LMDB → resnode train, test, detect. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-detector-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const resnode = (...words: string[]) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [...COMMAND, ...words], {
    encoding: 'utf8',
    cwd: folder,
  });
  assert.is(status, 0, `${words.join(' ')}: ${stderr}${stdout}`);
  return stdout;
};

const SIZE = 32;
interface Square {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
function overlap(a: Square, b: Square): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  const both = Math.max(0, width) * Math.max(0, height);
  return both / (a.width * a.height + b.width * b.height - both);
}
/** A dark or bright square on grey, and its box. */
async function drawPicture(set: string, i: number): Promise<{ label: string; box: Square }> {
  const random = seededRandom(i + (set === 'test' ? 1000 : 0));
  const data = Buffer.from(Array.from({ length: 3 * SIZE * SIZE }, () => 110 + 20 * random()));
  const side = 10 + Math.floor(6 * random());
  const [left, top] = [Math.floor((SIZE - side) * random()), Math.floor((SIZE - side) * random())];
  const isDark = random() < 0.5;
  for (let y = top; y < top + side; y++)
    data.fill(isDark ? 10 : 240, 3 * (y * SIZE + left), 3 * (y * SIZE + left + side));
  await sharp(data, { raw: { width: SIZE, height: SIZE, channels: 3 } })
    .png()
    .toFile(path(`${set}/JPEGImages/${i}.png`));
  const label = isDark ? 'dark' : 'bright';
  writeFileSync(
    path(`${set}/Annotations/${i}.xml`),
    `<annotation><filename>${i}.png</filename><object><name>${label}</name><bndbox><xmin>${left + 1}</xmin><ymin>${top + 1}</ymin><xmax>${left + side}</xmax><ymax>${top + side}</ymax></bndbox></object></annotation>`,
  );
  return { label, box: { x: left, y: top, width: side, height: side } };
}

const data = (
  set: string,
  batch: number,
  more: string,
) => `layer { name: "data" type: "AnnotatedData" top: "data" top: "label"
  transform_param { mean_value: 128 scale: 0.02 resize_param { prob: 1 resize_mode: WARP height: ${SIZE} width: ${SIZE} interp_mode: LINEAR } ${more} }
  data_param { source: "${set}_lmdb" batch_size: ${batch} backend: LMDB } annotated_data_param { label_map_file: "labelmap.prototxt" } }`;
const conv = (
  name: string,
  bottom: string,
  outputs: number,
  stride: number,
) => `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}"
  convolution_param { num_output: ${outputs} kernel_size: 3 pad: 1 stride: ${stride} weight_filler { type: "xavier" } bias_filler { type: "constant" } } }`;
const relu = (name: string) => `layer { name: "${name}/relu" type: "ReLU" bottom: "${name}" top: "${name}" }`;
const head = (kind: string, outputs: number) => `${conv(`mbox_${kind}_raw`, 'conv3', outputs, 1)}
layer { name: "mbox_${kind}_perm" type: "Permute" bottom: "mbox_${kind}_raw" top: "mbox_${kind}_perm" permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "mbox_${kind}" type: "Flatten" bottom: "mbox_${kind}_perm" top: "mbox_${kind}" flatten_param { axis: 1 } }`;
const trunk = `${conv('conv1', 'data', 8, 2)} ${relu('conv1')} ${conv('conv2', 'conv1', 16, 2)} ${relu('conv2')} ${conv('conv3', 'conv2', 16, 1)} ${relu('conv3')}
${head('loc', 8)} ${head('conf', 6)}
layer { name: "mbox_priorbox" type: "PriorBox" bottom: "conv3" bottom: "data" top: "mbox_priorbox"
  prior_box_param { min_size: 11 max_size: 15 clip: false variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 step: 4 offset: 0.5 } }`;
const found = `layer { name: "mbox_conf_reshape" type: "Reshape" bottom: "mbox_conf" top: "mbox_conf_reshape" reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "mbox_conf_softmax" type: "Softmax" bottom: "mbox_conf_reshape" top: "mbox_conf_softmax" softmax_param { axis: 2 } }
layer { name: "mbox_conf_flatten" type: "Flatten" bottom: "mbox_conf_softmax" top: "mbox_conf_flatten" flatten_param { axis: 1 } }
layer { name: "detection_out" type: "DetectionOutput" bottom: "mbox_loc" bottom: "mbox_conf_flatten" bottom: "mbox_priorbox" top: "detection_out" include { phase: TEST }
  detection_output_param { num_classes: 3 share_location: true background_label_id: 0 nms_param { nms_threshold: 0.45 top_k: 100 } code_type: CENTER_SIZE keep_top_k: 20 confidence_threshold: 0.01 } }`;
writeFileSync(
  path('train.prototxt'),
  `name: "ssd" ${data('train', 8, 'mirror: true distort_param { brightness_prob: 0.5 brightness_delta: 16 }')} ${trunk}
layer { name: "mbox_loss" type: "MultiBoxLoss" bottom: "mbox_loc" bottom: "mbox_conf" bottom: "mbox_priorbox" bottom: "label" top: "mbox_loss" include { phase: TRAIN }
  propagate_down: true propagate_down: true propagate_down: false propagate_down: false loss_param { normalization: VALID }
  multibox_loss_param { loc_loss_type: SMOOTH_L1 conf_loss_type: SOFTMAX loc_weight: 1 num_classes: 3 share_location: true match_type: PER_PREDICTION overlap_threshold: 0.5
    use_prior_for_matching: true background_label_id: 0 use_difficult_gt: true neg_pos_ratio: 3 neg_overlap: 0.5 code_type: CENTER_SIZE ignore_cross_boundary_bbox: false mining_type: MAX_NEGATIVE } }`,
);
writeFileSync(
  path('test.prototxt'),
  `name: "ssd" ${data('test', 5, '')} ${trunk} ${found}
layer { name: "detection_eval" type: "DetectionEvaluate" bottom: "detection_out" bottom: "label" top: "detection_eval" include { phase: TEST }
  detection_evaluate_param { num_classes: 3 background_label_id: 0 overlap_threshold: 0.5 evaluate_difficult_gt: false } }`,
);
writeFileSync(
  path('deploy.prototxt'),
  `name: "ssd" layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: ${SIZE} dim: ${SIZE} } } } ${trunk} ${found}`,
);
writeFileSync(
  path('solver.prototxt'),
  `train_net: "train.prototxt" test_net: "test.prototxt" test_iter: 4 test_interval: 200 test_initialization: true
base_lr: 0.01 lr_policy: "multistep" gamma: 0.1 stepvalue: 160 max_iter: 200 display: 50 average_loss: 10 momentum: 0.9 weight_decay: 0.0005
snapshot: 0 snapshot_prefix: "ssd" solver_mode: CPU debug_info: false snapshot_after_train: true type: "SGD" random_seed: 1
eval_type: "detection" ap_version: "11point" show_per_class_result: true`,
);
writeFileSync(
  path('labelmap.prototxt'),
  'item { name: "none_of_the_above" label: 0 display_name: "background" } item { name: "dark" label: 1 display_name: "dark" } item { name: "bright" label: 2 display_name: "bright" }',
);

interface Event {
  readonly type: string;
  readonly iteration: number;
  readonly loss?: number;
  readonly outputs?: readonly {
    readonly name: string;
    readonly values: readonly number[];
    readonly classes?: readonly { readonly label: number }[];
  }[];
}

test('an SSD learns drawn squares from annotations: the loss falls, mean average precision rises, and detect finds them', async () => {
  let truth: Awaited<ReturnType<typeof drawPicture>> = {
    label: '',
    box: { x: 0, y: 0, width: 0, height: 0 },
  };
  for (const set of ['train', 'test']) {
    for (const part of ['JPEGImages', 'Annotations']) mkdirSync(path(`${set}/${part}`), { recursive: true });
    // The last one is used below.
    for (let i = 0; i < (set === 'train' ? 64 : 20); i++) truth = await drawPicture(set, i);
    resnode(
      ...['dataset', 'annotated', `${set}/Annotations`, '--labels', 'labelmap.prototxt'],
      ...['--out', `${set}_lmdb`, '--encoded', '--shuffle'],
    );
  }
  const events = resnode('train', '--solver', 'solver.prototxt', '--device', 'cpu', '--json')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);
  const precisions = events
    .filter(({ type }) => type === 'test')
    .map(({ outputs }) => outputs![0]!.values[0]!);
  const losses = events.filter(({ type }) => type === 'iteration').map(({ loss }) => loss!);
  assert.is(precisions.length, 2);
  assert.ok(precisions[0]! < 0.3 && precisions[1]! > 0.8, `${precisions}`);
  assert.ok(losses.at(-1)! < losses[0]! / 2, `${losses[0]} ${losses.at(-1)}`);

  const words = ['test', '--model', 'test.prototxt', '--weights', 'ssd_iter_200.caffemodel', '--iterations'];
  const detector = [...words, '4', '--device', 'cpu', '--ap-version', '11point', '--per-class'];
  const tested = JSON.parse(resnode(...detector, '--json')) as Event;
  assert.equal(tested.outputs, events.filter(({ type }) => type === 'test').at(-1)!.outputs);
  assert.equal(
    tested.outputs!.map(({ name, classes }) => [name, classes!.map(({ label }) => label)]),
    [['detection_eval', [1, 2]]],
  );
  assert.match(resnode(...detector), /^class1: [\d.]+\nclass2: [\d.]+\ndetection_eval = [\d.]+$/m);

  const answer = JSON.parse(
    resnode(
      ...[
        'detect',
        'test/JPEGImages/19.png',
        '--model',
        'deploy.prototxt',
        '--weights',
        'ssd_iter_200.caffemodel',
      ],
      ...[
        '--labels',
        'labelmap.prototxt',
        '--mean-value',
        '128',
        '--scale',
        '0.02',
        '--device',
        'cpu',
        '--json',
      ],
    ),
  );
  const [best] = answer.detections as { label: string; box: Square }[];
  assert.is(best!.label, truth.label);
  assert.ok(overlap(best!.box, truth.box) > 0.5, JSON.stringify([best, truth]));
});

test.run();
