/** Invalid numbers are refused when the net is built, with their position and the valid range. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError } from '../../ts/base/errors.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';

const input = (name: string, ...shape: number[]) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;

const SSD = `${input('loc', 1, 48)}${input('conf', 1, 36)}${input('prior', 1, 2, 48)}`;

function messageOf(text: string): string {
  try {
    graphFromCaffe(readNet(text, { file: 'net.prototxt' }));
  } catch (error) {
    if (error instanceof GraphError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

const prior = (param: string) =>
  `${input('map', 1, 8, 4, 4)}${input('image', 1, 3, 32, 32)}layer { name: "l" type: "PriorBox" bottom: "map" bottom: "image" top: "t"
  prior_box_param { ${param} } }`;

const detection = (param: string) =>
  `${SSD}layer { name: "l" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "t"
  detection_output_param { num_classes: 3 ${param} } }`;

const yolo = (param: string) =>
  `${input('map', 1, 16, 4, 4)}layer { name: "l" type: "YoloDetectionOutput" bottom: "map" top: "t"
  yolo_detection_output_param { num_classes: 3 num_box: 2 ${param} } }`;

const yolov3 = (param: string) =>
  `${input('map', 1, 16, 4, 4)}layer { name: "l" type: "Yolov3DetectionOutput" bottom: "map" top: "t"
  yolov3_detection_output_param { num_classes: 3 num_box: 2 mask_group_num: 1 mask: 0 mask: 1 ${param} } }`;

const regions = (type: string, param: string) =>
  `${input('map', 1, 8, 4, 4)}${input('rois', 2, 5)}layer { name: "l" type: "${type}" bottom: "map" bottom: "rois" top: "t"
  ${param} }`;

const boxes = (param: string) =>
  `${input('map', 1, 6, 4, 4)}layer { name: "l" type: "BoxOutput" bottom: "map" top: "t"
  box_output_param { field_h: 4 field_w: 4 downsample_rate: 4 ${param} } }`;

const evaluate = (param: string) =>
  `${input('found', 1, 1, 4, 7)}${input('true', 1, 1, 4, 8)}layer { name: "l" type: "DetectionEvaluate" bottom: "found" bottom: "true" top: "t"
  detection_evaluate_param { ${param} } }`;

const value = (type: string, param: string) =>
  `${input('map', 1, 8, 4, 4)}layer { name: "l" type: "${type}" bottom: "map" top: "t" ${param} }`;

const smoothL1 = (param: string) =>
  `${input('a', 1, 8)}${input('b', 1, 8)}layer { name: "l" type: "SmoothL1LossOHEM" bottom: "a" bottom: "b" top: "t" ${param} }`;

/** What is refused: the code and a part of the message. The accepted text beside it shows that the rest is valid. */
const refused: readonly [text: string, code: string, message: RegExp][] = [
  [prior('min_size: inf'), 'prior-box', /min_size must be finite and above 0, found Infinity/],
  [evaluate('num_classes: 0'), 'detection-output', /num_classes must be at least 1, found 0/],
  [
    evaluate('num_classes: 2 overlap_threshold: nan'),
    'detection-output',
    /overlap_threshold must be above 0, found NaN/,
  ],
  [prior('min_size: 0'), 'prior-box', /min_size must be above 0, found 0/],
  [prior('min_size: 0.5'), 'prior-box', /min_size 0.5 becomes 0, .* in pixels of the image/],
  [prior('min_size: 4 max_size: nan'), 'prior-box', /max_size must be above 0, found NaN/],
  [prior('min_size: 4 aspect_ratio: 2 aspect_ratio: inf'), 'prior-box', /aspect_ratio 2 of 2 must be/],
  [prior('min_size: 4 variance: 0'), 'prior-box', /variance must be above 0, found 0/],
  [prior('min_size: 4 step: -8'), 'prior-box', /step must be above 0, found -8/],
  [prior('min_size: 4 offset: nan'), 'prior-box', /offset must be a finite number, found NaN/],
  [prior('width: 4 height: inf'), 'prior-box', /height must be finite and above 0/],
  [detection('confidence_threshold: nan'), 'detection-output', /confidence_threshold must be up to 1/],
  [detection('confidence_threshold: 50'), 'detection-output', /up to 1, found 50/],
  [detection('keep_top_k: 0'), 'detection-output', /keep_top_k must be at least 1, or -1 for all boxes/],
  [detection('keep_top_k: -7'), 'detection-output', /keep_top_k must be at least 1, .* found -7/],
  [detection('nms_param { nms_threshold: -0.1 }'), 'detection-output', /nms_threshold must be at least 0/],
  [detection('nms_param { top_k: 0 }'), 'detection-output', /top_k must be at least 1/],
  [detection('nms_param { eta: 0 }'), 'detection-output', /eta must be above 0 and up to 1/],
  [yolo('biases: 1 biases: 1 biases: nan biases: 1'), 'yolo', /biases 3 of 4 must be above 0, found NaN/],
  [yolo('biases: 1 biases: 1 biases: 1 biases: -1'), 'yolo', /biases 4 of 4 must be above 0, found -1/],
  [yolov3('anchors_scale: 0'), 'yolo', /anchors_scale must be at least 1, found 0/],
  [yolov3('nms_threshold: -1 anchors_scale: 8'), 'yolo', /nms_threshold must be at least 0, found -1/],
  [yolov3('confidence_threshold: 1.5'), 'yolo', /confidence_threshold must be from 0 to 1, found 1.5/],
  [regions('ROIPooling', 'roi_pooling_param { spatial_scale: 0 }'), 'regions', /spatial_scale must be above/],
  [
    regions('ROIAlign', 'roi_align_param { spatial_scale: inf }'),
    'regions',
    /spatial_scale must be finite and above/,
  ],
  [
    detection('confidence_threshold: -inf'),
    'detection-output',
    /must be finite and up to 1, found -Infinity/,
  ],
  [detection('confidence_threshold: 1.001'), 'detection-output', /up to 1, found 1\.001$/],
  [detection('confidence_threshold: 3e30'), 'detection-output', /up to 1, found 3e\+30/],
  [
    regions('ROIPooling', 'roi_pooling_param { spatial_scale: -inf }'),
    'regions',
    /must be above 0, found -Inf/,
  ],
  [boxes('field_whr: 0.5'), 'proposal', /field_whr must be at least 1, found 0.5/],
  [boxes('field_whr: 0.999'), 'proposal', /field_whr must be at least 1, found 0.999$/],
  [value('Clip', 'clip_param { min: nan max: 1 }'), 'range', /min must be a number, found NaN/],
  [value('Clip', 'clip_param { min: 0 max: nan }'), 'range', /max must be a number, found NaN/],
  [value('Swish', 'swish_param { beta: nan }'), 'range', /beta must be a finite number, found NaN/],
  [value('Swish', 'swish_param { beta: inf }'), 'range', /beta must be a finite number, found Infinity/],
  [value('Power', 'power_param { shift: nan }'), 'range', /shift must be a number, found NaN/],
  [
    value('ReLU', 'relu_param { negative_slope: nan }'),
    'range',
    /negative_slope must be a number, found NaN/,
  ],
  [value('ELU', 'elu_param { alpha: nan }'), 'range', /alpha must be a number, found NaN/],
  [value('LRN', 'lrn_param { alpha: nan }'), 'range', /alpha must be a number, found NaN/],
  [value('BatchNorm', 'batch_norm_param { eps: nan }'), 'range', /eps must be at least 0, found NaN/],
  [value('BatchNorm', 'batch_norm_param { eps: -1e-3 }'), 'range', /eps must be at least 0, found -0\.001/],
  [
    value('BatchNorm', 'batch_norm_param { eps: inf }'),
    'range',
    /eps must be finite and at least 0, found Inf/,
  ],
  [
    value('BatchNorm', 'batch_norm_param { moving_average_fraction: nan }'),
    'range',
    /moving_average_fraction must be a finite number, found NaN/,
  ],
  [value('MVN', 'mvn_param { eps: -1 }'), 'range', /eps must be at least 0, found -1/],
  [
    value('Dropout', 'dropout_param { dropout_ratio: nan }'),
    'range',
    /dropout_ratio must be a number, found NaN/,
  ],
  [
    value('InnerProduct', 'inner_product_param { num_output: 2 weight_filler { value: nan } }'),
    'range',
    /value must be a finite number, found NaN/,
  ],
  [
    value('Scale', 'scale_param { filler { type: "uniform" min: 0 max: inf } }'),
    'range',
    /max must be a finite number, found Infinity/,
  ],
  [
    value(
      'Convolution',
      'convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "gaussian" std: inf } }',
    ),
    'range',
    /std must be a finite number, found Infinity/,
  ],
  [
    value('PReLU', 'prelu_param { } param { lr_mult: nan }'),
    'range',
    /lr_mult must be a finite number, found NaN/,
  ],
  [
    'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 2 } data_filler { value: nan } } }',
    'range',
    /value must be a finite number, found NaN/,
  ],
  [
    'layer { name: "d" type: "MemoryData" top: "d" top: "l" memory_data_param { batch_size: 1 channels: 1 height: 1 width: 1 } transform_param { scale: nan } }',
    'range',
    /scale must be a finite number, found NaN/,
  ],
  [value('Reduction', 'reduction_param { coeff: nan }'), 'range', /coeff must be a number, found NaN/],
  [value('Softmax', 'softmax_param { } loss_weight: nan'), 'range', /loss_weight must be a finite number/],
  [value('Softmax', 'softmax_param { } loss_weight: inf'), 'range', /must be a finite number, found Inf/],
  [
    smoothL1('loss_param { normalization: PRE_FIXED pre_fixed_normalizer: nan }'),
    'range',
    /pre_fixed_normalizer must be a finite number, found NaN/,
  ],
];
for (const [text, code, message] of refused) {
  const param = /_param \{.*/.exec(text.slice(text.lastIndexOf('layer')))![0];
  test(`${param} is refused with its position`, () => {
    const found = messageOf(text);
    assert.ok(found.startsWith(`graph/${code} `), found);
    assert.match(found, message);
    assert.match(found, /net\.prototxt:\d+:\d+/);
  });
}

for (const text of [
  prior('min_size: 4.5 max_size: 8 aspect_ratio: 2 variance: 0.1 step: 8 offset: 0'),
  detection('keep_top_k: -1 confidence_threshold: -1 nms_param { top_k: -1 nms_threshold: 1.5 eta: 1 }'),
  yolo('biases: 1 biases: 1 biases: 1 biases: 1 confidence_threshold: 0'),
  boxes('field_whr: 1'),
  value('Clip', 'clip_param { min: -inf max: 6 }'),
  value('Clip', 'clip_param { min: 0 max: inf }'),
  value('BatchNorm', 'batch_norm_param { eps: 0 moving_average_fraction: 1 }'),
  smoothL1('loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 0.5 }'),
])
  test(`${/_param \{.*/.exec(text.slice(text.lastIndexOf('layer')))![0]} is accepted`, () =>
    assert.is(messageOf(text), 'accepted'));

const four = (shape: readonly number[]) =>
  messageOf(
    `${SSD}${input('fourth', ...shape)}layer { name: "l" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" bottom: "fourth" top: "t"
  detection_output_param { num_classes: 3 code_type: CENTER_SIZE } }`,
  );

test('a fourth bottom of DetectionOutput is a picture or objectness scores, depending on its shape; anything else is refused', () => {
  assert.is(four([1, 3, 32, 32]), 'accepted');
  assert.is(four([1, 24]), 'accepted');
  assert.match(
    four([1, 14]),
    /neither an image.*nor RefineDet's scores of being an object, 1×24: found 1×14/,
  );
});

test.run();
