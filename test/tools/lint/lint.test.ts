import { existsSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { lintFile, lintPrototxt, lintRules } from '../../../ts/api/tools.ts';
import { blobFromFloats, writeBinaryproto } from '../../../ts/index.ts';
import { goldenFolder, sharedFolder } from '../../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-lint-'));
const lint = (text: string) => lintPrototxt(text, { file: join(folder, 'net.prototxt') });
const found = (text: string) =>
  lint(text).map(({ rule, level, position }) => `${level} ${rule} ${position.line}`);

const input = (shape: string) =>
  `layer { name: "data" type: "Input" top: "data" input_param { shape { ${shape} } } }\n`;
const IMAGE = input('dim: 1 dim: 3 dim: 8 dim: 8');
/** Inputs of 8×8, and a loss in phase TRAIN around the layers under test. */
const training = (text: string) =>
  `${IMAGE}layer { name: "l" type: "Input" top: "label" input_param { shape { dim: 1 } } }\n${text}
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param { num_output: 2 weight_filler { type: "msra" } } include { phase: TRAIN } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" include { phase: TRAIN } }`;
const batchNorm = (fields: string) =>
  training(`layer { name: "bn" type: "BatchNorm" bottom: "data" top: "x" ${fields} }
layer { name: "scale" type: "Scale" bottom: "x" top: "x" scale_param { bias_term: true } }`);
const THREE = 'param { lr_mult: 0 } '.repeat(3);
const convolution = (fields: string, name = 'a') =>
  `layer { name: "${name}" type: "Convolution" bottom: "data" top: "a" convolution_param { num_output: 4 ${fields} } `;
const NORMALISED = `layer { name: "bn" type: "BatchNorm" bottom: "a" top: "a" }
layer { name: "scale" type: "Scale" bottom: "a" top: "a" }`;
const NORMALISED_NET = `${IMAGE}${NORMALISED.replace('bottom: "a"', 'bottom: "data"')}`;
const imageData = (transform: string) =>
  `layer { name: "d" type: "ImageData" top: "x" top: "label" image_data_param { source: "s" new_height: 8 new_width: 8 }
transform_param { ${transform} } }`;
writeBinaryproto(join(folder, 'mean.binaryproto'), blobFromFloats([1, 3, 8, 8], new Float32Array(3 * 64)));
const solver = (fields: string) => `net: "train.prototxt"\nbase_lr: 0.1 max_iter: 9\n${fields}`;
writeFileSync(join(folder, 'train.prototxt'), batchNorm(THREE));
writeFileSync(join(folder, 'no-loss.prototxt'), NORMALISED_NET);

for (const [name, label] of [
  ['four.txt', 3],
  ['three.txt', 2],
] as const)
  writeFileSync(join(folder, name), `a.png 0\nb.png ${label}\n`);
const labelled = (source: string) =>
  `layer { name: "d" type: "ImageData" top: "data" top: "label" image_data_param { source: "${source}" new_height: 8 new_width: 8 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 3 weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`;

const deconvolution = (rate: number, fields: string) =>
  training(`layer { name: "u" type: "Deconvolution" bottom: "data" top: "x" param { lr_mult: ${rate} }
convolution_param { num_output: 3 bias_term: false kernel_size: 4 stride: 2 pad: 1 ${fields} } }`);
const BILINEAR = 'weight_filler { type: "bilinear" }';
const HALVED = `${IMAGE}${convolution('kernel_size: 2 stride: 2')} }`;
const scored = (fields: string) =>
  `${IMAGE}layer { name: "l" type: "Input" top: "label" input_param { shape { dim: 1 dim: 1 dim: 8 dim: 8 } } }
${convolution('kernel_size: 1 weight_filler { type: "msra" }')} }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "a" bottom: "label" top: "loss"
${fields} }`;
const priors = (fields: string) =>
  `${HALVED}\nlayer { name: "p" type: "PriorBox" bottom: "a" bottom: "data" top: "p" prior_box_param {\n${fields} } }`;
const named = (name: string, shape: string) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape} } } }\n`;
const proposals = (stride: number) => `${IMAGE}${named('info', 'dim: 1 dim: 3')}${['s', 'd']
  .map(
    (top, i) =>
      `layer { name: "${top}" type: "Convolution" bottom: "data" top: "${top}" convolution_param { num_output: ${18 * (i + 1)} kernel_size: 2 stride: 2 } }\n`,
  )
  .join('')}layer { name: "p" type: "Proposal" bottom: "s" bottom: "d" bottom: "info" top: "p"
proposal_param { feat_stride: ${stride} } }`;
const regions = (
  scale: number,
) => `${HALVED}\n${named('r', 'dim: 1 dim: 5')}layer { name: "p" type: "ROIPooling" bottom: "a" bottom: "r" top: "p"
roi_pooling_param { pooled_h: 1 pooled_w: 1 spatial_scale: ${scale} } }`;
const detections = (classes: number) =>
  `${named('loc', 'dim: 1 dim: 8')}${named('conf', 'dim: 1 dim: 6')}${named('prior', 'dim: 1 dim: 2 dim: 8')}layer { name: "det" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "det"
detection_output_param { num_classes: ${classes} } }`;
const segnetBn = (mode: string) => `${IMAGE}layer { name: "bn" type: "BN" bottom: "data" top: "x"
bn_param { bn_mode: ${mode} } }`;
writeFileSync(
  join(folder, 'hard.prototxt'),
  'layer { name: "ohem" type: "SmoothL1LossOHEM" bottom: "a" bottom: "b" top: "loss" }',
);

/** Rule → a file with one finding, its position, and the same file corrected. */
const CASES: Record<string, [wrong: string, at: string, fixed: string]> = {
  'does-not-parse': [`${IMAGE}layer { nme: "a" }`, 'error 2', IMAGE],
  'fork-field': [`default_forward_type: FLOAT16\n${IMAGE}`, 'warning 1', IMAGE],
  'nvidia-batch-norm': [
    `${IMAGE}layer { name: "bn" type: "BatchNorm" bottom: "data" top: "x"
batch_norm_param { scale_bias: true } }`,
    'warning 3',
    `${IMAGE}layer { name: "bn" type: "BatchNorm" bottom: "data" top: "x" }`,
  ],
  'v0-syntax': [
    'input: "data" layers { layer { name: "r" type: "relu" } bottom: "data" top: "r" }',
    'warning 1',
    'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }',
  ],
  'v1-syntax': [
    '\nlayers { name: "d" type: DATA top: "data" }',
    'warning 2',
    '\nlayer { name: "d" type: "Data" top: "data" }',
  ],
  'legacy-input': ['input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8', 'note 1', IMAGE],
  'legacy-transform': [
    'layer { name: "d" type: "Data" top: "data"\ndata_param { source: "s"\n crop_size: 8 } }',
    'warning 3',
    'layer { name: "d" type: "Data" top: "data" transform_param { crop_size: 8 } }',
  ],
  'batch-norm-lr': [batchNorm(''), 'warning 3', batchNorm(THREE)],
  'global-stats': [
    batchNorm(`${THREE}\nbatch_norm_param { use_global_stats: true }`),
    'warning 4',
    batchNorm(THREE),
  ],
  'bias-before-batch-norm': [
    `${IMAGE}${convolution('kernel_size: 1')} }\n${NORMALISED}`,
    'warning 2',
    `${IMAGE}${convolution('kernel_size: 1 bias_term: false')} }\n${NORMALISED}`,
  ],
  'batch-norm-without-scale': [
    `${IMAGE}layer { name: "bn" type: "BatchNorm" bottom: "data" top: "a" }
layer { name: "r" type: "ReLU" bottom: "a" top: "a" }\nlayer { name: "s" type: "Scale" bottom: "a" top: "a" }`,
    'warning 2',
    `${IMAGE}${NORMALISED.replace('bottom: "a"', 'bottom: "data"')}`,
  ],
  'param-without-blob': [
    `${IMAGE}${convolution('kernel_size: 1 bias_term: false')}\nparam { lr_mult: 1 } param { lr_mult: 2 } }`,
    'error 3',
    `${IMAGE}${convolution('kernel_size: 1 bias_term: false')}\nparam { lr_mult: 1 } }`,
  ],
  'fork-layer': [
    `${IMAGE}layer { name: "a" type: "Insanity" bottom: "data" top: "a" }`,
    'error 2',
    `${IMAGE}layer { name: "a" type: "ReLU" bottom: "data" top: "a" }`,
  ],
  'unknown-layer': [
    `${IMAGE}layer { name: "a"\n type: "Relu" bottom: "data" top: "a" }`,
    'error 3',
    `${IMAGE}layer { name: "a"\n type: "ReLU" bottom: "data" top: "a" }`,
  ],
  'layer-not-run': [
    `${IMAGE}layer { name: "a" type: "Python" bottom: "data" top: "a" }`,
    'note 2',
    `${IMAGE}layer { name: "a" type: "AbsVal" bottom: "data" top: "a" }`,
  ],
  'in-place-shared': [
    `${IMAGE}${convolution('kernel_size: 1')} }
layer { name: "b" type: "TanH" bottom: "a" top: "b" }\nlayer { name: "r" type: "ReLU" bottom: "a" top: "a" }`,
    'error 4',
    `${IMAGE}${convolution('kernel_size: 1')} }
layer { name: "r" type: "ReLU" bottom: "a" top: "a" }\nlayer { name: "b" type: "TanH" bottom: "a" top: "b" }`,
  ],
  'name-twice': [
    `${IMAGE}${convolution('kernel_size: 1')} }\nlayer { name: "a" type: "Scale" bottom: "a" top: "s" }`,
    'error 3',
    `${IMAGE}${convolution('kernel_size: 1')} }\nlayer { name: "s" type: "Scale" bottom: "a" top: "s" }`,
  ],
  'eltwise-shape': [
    `${IMAGE}${convolution('kernel_size: 1')} }\nlayer { name: "e" type: "Eltwise" bottom: "a" bottom: "data" top: "e" }`,
    'error 3',
    `${IMAGE}${convolution('kernel_size: 1').replace('4', '3')} }\nlayer { name: "e" type: "Eltwise" bottom: "a" bottom: "data" top: "e" }`,
  ],
  'does-not-build': [
    `${IMAGE}${convolution('kernel_size: 9')} }\nlayer { name: "r" type: "ReLU" bottom: "a" top: "a" }`,
    'error 2',
    `${IMAGE}${convolution('kernel_size: 8')} }\nlayer { name: "r" type: "ReLU" bottom: "a" top: "a" }`,
  ],
  'size-rounding': [
    `${IMAGE}${convolution('kernel_size: 3 stride: 2')} }`,
    'note 2',
    `${IMAGE}${convolution('kernel_size: 2 stride: 2')} }`,
  ],
  'batch-norm-few-values': [
    batchNorm(THREE).replace('dim: 8 dim: 8', 'dim: 1 dim: 1'),
    'error 3',
    batchNorm(THREE),
  ],
  'batch-norm-rates-zeroed': [batchNorm('\nparam { lr_mult: 1 }'.repeat(3)), 'warning 4', batchNorm(THREE)],
  'zero-weights': [
    training(`${convolution('\nkernel_size: 1').replace('top: "a"', 'top: "x"')} }`),
    'warning 3',
    training(
      `${convolution('\nkernel_size: 1 weight_filler { type: "xavier" }').replace('top: "a"', 'top: "x"')} }`,
    ),
  ],
  'one-class': [batchNorm(THREE).replace('num_output: 2', 'num_output: 1'), 'error 6', batchNorm(THREE)],
  'softmax-twice': [
    batchNorm(THREE).replace(
      'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc"',
      'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" include { phase: TRAIN } }\nlayer { name: "loss" type: "SoftmaxWithLoss" bottom: "prob"',
    ),
    'warning 7',
    batchNorm(THREE),
  ],
  'nothing-learns': [
    training('layer { name: "t" type: "TanH" bottom: "data" top: "x" }').replace(
      'name: "fc"',
      'name: "fc" param { lr_mult: 0 } param { lr_mult: 0 }',
    ),
    'warning 4',
    training('layer { name: "t" type: "TanH" bottom: "data" top: "x" }'),
  ],
  'no-loss': [
    solver('lr_policy: "fixed"').replace('train.prototxt', 'no-loss.prototxt'),
    'error 1',
    solver('lr_policy: "fixed"'),
  ],
  'label-range': [labelled('four.txt'), 'error 1', labelled('three.txt')],
  'mean-value-count': [
    imageData('mean_value: 104\nmean_value: 117'),
    'error 2',
    imageData('mean_value: 104\nmean_value: 117 mean_value: 123'),
  ],
  'mean-image-size': [
    imageData('mean_file: "mean.binaryproto"').replace('new_width: 8', 'new_width: 9'),
    'error 2',
    imageData('mean_file: "mean.binaryproto"'),
  ],
  'crop-size': [imageData('crop_size: 9'), 'error 2', imageData('crop_size: 8')],
  'solver-refused': [solver('lr_policy: "steps"'), 'error 3', solver('lr_policy: "fixed"')],
  'deploy-labels': [
    `${IMAGE}layer { name: "l" type: "Input" top: "label" input_param { shape { dim: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`,
    'note 2',
    `${IMAGE}layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 weight_filler { type: "msra" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }`,
  ],
  'solver-file-missing': [
    solver('lr_policy: "fixed"').replace('train.', 'none.'),
    'error 1',
    solver('lr_policy: "fixed"'),
  ],
  'solver-hardly-meant': [
    solver('lr_policy: "step" stepsize: 2'),
    'warning 3',
    solver('lr_policy: "step" stepsize: 2 gamma: 0.1'),
  ],
  'iter-size-batch-norm': [
    solver('lr_policy: "fixed"\niter_size: 2'),
    'warning 4',
    solver('lr_policy: "fixed"\niter_size: 1'),
  ],
  'deconvolution-filler': [
    deconvolution(0, 'group: 3'),
    'warning 4',
    deconvolution(0, `group: 3 ${BILINEAR}`),
  ],
  'deconvolution-learns': [
    deconvolution(1, `group: 3 ${BILINEAR}`),
    'note 3',
    deconvolution(0, `group: 3 ${BILINEAR}`),
  ],
  'deconvolution-bilinear': [
    deconvolution(0, BILINEAR),
    'warning 4',
    deconvolution(0, `group: 3 ${BILINEAR}`),
  ],
  'crop-offset': [
    `${IMAGE}${convolution('kernel_size: 3 pad: 3')} }
layer { name: "c" type: "Crop" bottom: "a" bottom: "data" top: "c"\ncrop_param { offset: 0 } }`,
    'warning 4',
    `${IMAGE}${convolution('kernel_size: 3 pad: 3')} }
layer { name: "c" type: "Crop" bottom: "a" bottom: "data" top: "c"\ncrop_param { offset: 2 } }`,
  ],
  'ignore-label': [scored(''), 'note 4', scored('loss_param { ignore_label: 255 }')],
  'prior-step': [priors('min_size: 4 step: 16'), 'warning 4', priors('min_size: 4 step: 2')],
  'prior-size': [priors('min_size: 0.5'), 'warning 4', priors('min_size: 4')],
  'proposal-stride': [proposals(16), 'warning 6', proposals(2)],
  'region-scale': [regions(0.0625), 'warning 5', regions(0.5)],
  'detection-classes': [detections(2), 'error 5', detections(3)],
  'bn-batch-statistics': [segnetBn('LEARN'), 'warning 3', segnetBn('INFERENCE')],
  'iter-size-hard-examples': [
    solver('lr_policy: "fixed"\niter_size: 2').replace('train.', 'hard.'),
    'warning 4',
    solver('lr_policy: "fixed"\niter_size: 1').replace('train.', 'hard.'),
  ],
  'legacy-solver-type': [
    solver('lr_policy: "fixed"\nsolver_type: ADAM'),
    'warning 4',
    solver('lr_policy: "fixed"\ntype: "Adam"'),
  ],
};

test('every rule has a case, a source and a fix', () => {
  assert.equal(lintRules.map(({ name }) => name).sort(), Object.keys(CASES).sort());
  for (const { name, why, fix } of lintRules) {
    assert.match(why, /\w+\.(cpp|cc|hpp|proto)/, name);
    assert.ok(fix.length > 5, name);
  }
});

for (const [rule, [wrong, at, fixed]] of Object.entries(CASES)) {
  test(`${rule}: found once, at its line, and no longer after the fix`, () => {
    const [level, line] = at.split(' ');
    const of = (text: string) => found(text).filter((each) => each.split(' ')[1] === rule);
    assert.equal(of(wrong), [`${level} ${rule} ${line}`]);
    assert.equal(of(fixed), []);
    if (rule !== 'does-not-parse') {
      const severe = found(fixed).filter((each) => each.startsWith('error'));
      assert.equal(severe, []);
    }
  });
}

test('BatchNorm with one or two params: refused if they learn, incomplete if not; three rates are set to zero by Caffe', () => {
  const levels = (params: string) =>
    found(batchNorm(params)).filter((each) => each.includes('batch-norm-lr'));
  for (const count of [1, 2]) {
    assert.equal(levels('param { lr_mult: 1 } '.repeat(count)), ['error batch-norm-lr 3']);
    assert.equal(levels('param { lr_mult: 0 } '.repeat(count)), ['warning batch-norm-lr 3']);
  }
  assert.equal(levels('param { lr_mult: 1 } '.repeat(3)), []);
  assert.equal(levels('param { lr_mult: 0 } '.repeat(4)), ['error batch-norm-lr 3']);
});

test('few values per live BatchNorm give a warning with their number; frozen ones and many values do not', () => {
  const few = (shape: string, fields = '') =>
    lint(batchNorm(`${THREE} ${fields}`).replace('dim: 1 dim: 3 dim: 8 dim: 8', shape))
      .filter(({ rule }) => rule === 'batch-norm-few-values')
      .map(({ level, message }) => `${level}: ${message}`);
  assert.match(
    few('dim: 2 dim: 3 dim: 1 dim: 1').join(),
    /^warning: layer "bn" \(BatchNorm\) computes its statistics from only 2 values per channel \(batch 2, 1×1\)$/,
  );
  assert.match(few('dim: 5 dim: 3').join(), /only 5 values per channel \(batch 5, 1\)/);
  assert.match(few('dim: 1 dim: 3').join(), /^error: .*one value per channel/);
  assert.equal(few('dim: 16 dim: 3'), []);
  assert.equal(few('dim: 1 dim: 3 dim: 1 dim: 1', 'batch_norm_param { use_global_stats: true }'), []);
});

test('weights that are shared, set to a constant or fixed Scales: only what starts at 0 is found, once per cause', () => {
  const zero = (text: string) =>
    lint(training(text))
      .filter(({ rule }) => rule === 'zero-weights')
      .map(({ message }) => message);
  const fc = (name: string, fields: string, more = '') =>
    `layer { name: "${name}" type: "InnerProduct" bottom: "data" top: "${name}" ${more} inner_product_param { num_output: 2 ${fields} } }\n`;
  const x = 'layer { name: "t" type: "TanH" bottom: "data" top: "x" }';
  assert.equal(zero(fc('a', 'weight_filler { type: "constant" value: 0.1 }') + x), []);
  assert.equal(
    zero(
      fc('a', 'weight_filler { type: "msra" }', 'param { name: "w" }') +
        fc('b', '', 'param { name: "w" }') +
        x,
    ),
    [],
  );
  assert.match(zero(fc('a', '') + fc('b', '') + x).join('|'), /^layer "a" .* \(the same: "b"\)$/);
  assert.match(
    zero(fc('a', 'weight_filler { type: "constant" }') + x).join('|'),
    /a constant without a value/,
  );
  const scale = (filler: string) =>
    `layer { name: "s" type: "Scale" bottom: "data" top: "x" scale_param { ${filler} } }`;
  assert.equal(zero(scale('')), []);
  assert.equal(zero(scale('filler { value: 0 }')), [], 'a residual that begins as the identity');
  assert.match(zero(scale('filler { type: "constant" }')).join(), /"s" \(Scale\) begins with weights of 0/);
});

test('a softmax of a softmax is found through layers that pass it on', () => {
  const twice = (between: string) =>
    lint(`${IMAGE}layer { name: "p" type: "Softmax" bottom: "data" top: "p" }\n${between}`).filter(
      ({ rule }) => rule === 'softmax-twice',
    ).length;
  assert.is(twice('layer { name: "q" type: "Softmax" bottom: "p" top: "q" }'), 1);
  assert.is(
    twice(`layer { name: "f" type: "Flatten" bottom: "p" top: "f" }
layer { name: "d" type: "Dropout" bottom: "f" top: "f" }\nlayer { name: "q" type: "Softmax" bottom: "f" top: "q" }`),
    1,
  );
  assert.is(
    twice(
      'layer { name: "q" type: "Power" bottom: "p" top: "q" }\nlayer { name: "r" type: "Softmax" bottom: "q" top: "r" }',
    ),
    0,
  );
});

test('a crop is reported with the offset that the layers imply, also through deconvolutions, and not within half a position', () => {
  const net = (offset: number) => `${IMAGE}layer { name: "c" type: "Convolution" bottom: "data" top: "c"
convolution_param { num_output: 3 kernel_size: 3 stride: 2 pad: 4 } }
layer { name: "u" type: "Deconvolution" bottom: "c" top: "u"
convolution_param { num_output: 3 group: 3 bias_term: false kernel_size: 4 stride: 2 } }
layer { name: "crop" type: "Crop" bottom: "u" bottom: "data" top: "crop" crop_param { offset: ${offset} } }`;
  const found = (offset: number) => lint(net(offset)).filter(({ rule }) => rule === 'crop-offset');
  // Position 0 of c is pixel −3; that of u is (0 − 1.5) / 2 positions before it: pixel −4.5.
  const [finding] = found(1);
  assert.match(
    finding!.message,
    /crops from 1, 1 on, but "data" begins at 4\.5, 4\.5: .* 3\.5 positions apart/,
  );
  assert.equal([found(4), found(5)], [[], []]);
});

test('published detectors and segmenters have only their known problems', () => {
  const shared = sharedFolder();
  const nets = join(shared ?? '', 'nets');
  if (shared === null || !existsSync(nets)) return;
  const asked = /^(deconvolution|crop-offset|ignore|prior|proposal|region|detection|bn-batch)/;
  const counts = new Map<string, number>();
  for (const file of readdirSync(nets).filter((name) => name.endsWith('.prototxt')))
    for (const { rule } of lintFile(join(nets, file)).filter((each) => asked.test(each.rule))) {
      const key = `${file.split('_')[1]}: ${rule}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  assert.equal(Object.fromEntries(counts), {
    // Its upsampling halves the channels, and therefore sums pairs of them.
    'MobileNet-YOLO: deconvolution-bilinear': 2,
    // Pads 35, and crops from 0 on; its own fork computed the offsets.
    'hed: crop-offset': 5,
    // Weights are set by net surgery.
    'fcn.berkeleyvision.org: deconvolution-filler': 3,
  });
});

test('use_global_stats: false is found in phase TEST', () => {
  const net = batchNorm(`${THREE} batch_norm_param { use_global_stats: false }`);
  const [finding] = lint(net).filter(({ rule }) => rule === 'global-stats');
  assert.match(finding!.message, /phase TEST/);
});

test("a column is the field's, and the arithmetic of a size is shown", () => {
  const net = `${IMAGE}${convolution('kernel_size: 3 stride: 2 pad: 1')} }`;
  const [finding] = lint(net);
  assert.match(finding!.message, /\(8 \+ 2·1 − 3\) \/ 2 \+ 1 = 4\.5, rounded down to 4: one pixel/);
  const [other] = lint(
    'layer {\n  name: "a"\n  type: "Relu" bottom: "b" }\nlayer { name: "d" type: "Data" top: "b" }',
  );
  assert.equal([other!.position.line, other!.position.column], [3, 3]);
});

test('a mean as large as the crop is a note, and mean_file beside mean_value an error', () => {
  const data = (fields: string) =>
    `layer { name: "d" type: "Data" top: "x" top: "label"\ntransform_param { mean_file: "mean.binaryproto"\n${fields} } }`;
  assert.equal(found(data('crop_size: 8')), ['note mean-image-size 2']);
  assert.equal(found(data('crop_size: 7')), []);
  assert.equal(found(data('crop_size: 9')), ['error mean-image-size 2']);
  assert.equal(found(data('mean_value: 1')), ['error mean-value-count 3']);
});

test('a comment on the line before silences the rules that it names, only there', () => {
  const rounding = `${convolution('kernel_size: 3 stride: 2')} }\n`;
  const silenced = `${IMAGE}# resnode-lint: disable=legacy-input, size-rounding\n${rounding}`;
  assert.equal(found(silenced), []);
  assert.equal(found(silenced.replace('size-', 'sizes-')), ['note size-rounding 3']);
  assert.equal(found(`${silenced}${rounding.replaceAll('"a"', '"b"')}`), ['note size-rounding 4']);
});

test('a solver with a missing net or missing weights is reported with its line, the folders searched and similar names', () => {
  const missing = (text: string) => lint(text).find(({ rule }) => rule === 'solver-file-missing')!.message;
  const message = missing(solver('lr_policy: "fixed"').replace('train.', 'trian.'));
  assert.match(
    message,
    /no file "trian\.prototxt".*working folder \(.*\).*beside the solver \(.*resnode-lint-/,
  );
  assert.match(message, /did you mean "train\.prototxt"\?/);
  const fixed = 'lr_policy: "fixed"\n';
  assert.match(missing(solver(`${fixed}weights: "a.caffemodel"`)), /^weights: there is no file/);
  assert.match(
    missing(solver(`${fixed}test_net: "t.prototxt" test_iter: 1 test_interval: 1`)),
    /^test_net.*"t\.prototxt"/,
  );
});

test('a blob, an unreadable mean and a solver without its net cause no crash', () => {
  writeFileSync(join(folder, 'broken.binaryproto'), 'nothing');
  assert.match(lint(imageData('mean_file: "broken.binaryproto"'))[0]!.message, /cannot be read/);
  assert.equal(found(solver('lr_policy: "fixed" iter_size: 2').replace('train.', 'none.')), [
    'error solver-file-missing 1',
  ]);
  assert.equal(found(''), []);
  assert.equal(found('\u0000'), ['error does-not-parse 1']);
  assert.throws(() => lintFile(join(folder, 'none.prototxt')), /there is no such file/);
});

test("MSRA's own files give no errors or warnings, but notes on conv1 and pool1", () => {
  const golden = goldenFolder();
  if (golden === null) return;
  for (const depth of [50, 101, 152]) {
    const findings = lintFile(
      join(golden, `prototxt/deep-residual-networks/prototxt/ResNet-${depth}-deploy.prototxt`),
    );
    const notes = ['legacy-input', ...(depth === 50 ? ['bias-before-batch-norm'] : [])];
    assert.equal(
      findings.map(({ level, rule }) => `${level} ${rule}`).sort(),
      [...notes, 'size-rounding', 'size-rounding'].map((rule) => `note ${rule}`).sort(),
    );
  }
});

const wild = join(sharedFolder() ?? '', 'prototxt-wild');
const inTheWild = existsSync(wild)
  ? test
  : (name: string) => console.log(`skipped: ${name}: no shared/prototxt-wild beside the checkout`);
inTheWild('every file in the wild is linted, and a net that Caffe builds has no error of building', () => {
  const names = readdirSync(wild).filter((name) => /\.(prototxt|pt)$/.test(name));
  assert.ok(names.length > 100);
  for (const name of names)
    assert.equal(
      // MSRA's older SmoothL1Loss takes three bottoms, and its SoftmaxWithLoss has three tops.
      lintFile(join(wild, name)).filter(
        ({ rule, message }) =>
          rule === 'does-not-build' && !/(SmoothL1Loss|SoftmaxWithLoss).*found [23]$/.test(message),
      ),
      [],
      name,
    );
});

test.run();
