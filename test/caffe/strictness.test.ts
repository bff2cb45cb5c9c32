/**
 * What Caffe refuses is refused with its position. Fields of forks that only affect performance are ignored with a
 * warning.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError, PrototxtError } from '../../ts/base/errors.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { fillerProblem, filling } from '../../ts/caffe/fillers.ts';
import { forkOfField } from '../../ts/caffe/fork-fields.ts';
import { filterNet, type NetState, readNet } from '../../ts/caffe/net-parameter.ts';
import { messages } from '../../ts/caffe/schema.ts';
import { readSolver } from '../../ts/caffe/solver-parameter.ts';
import type { GraphOptions } from '../../ts/graph/from-caffe.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { refuseForeignLayers } from '../../ts/layers/known-layers.ts';
import { sharedFolder } from '../support/golden.ts';

const DATA =
  'layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 9 dim: 9 } } }\n';
const conv = (fields: string) =>
  `${DATA}layer { name: "c" type: "Convolution" bottom: "x" top: "y"\nconvolution_param { num_output: 4 ${fields} } }`;
const pool = (fields: string) =>
  `${DATA}layer { name: "p" type: "Pooling" bottom: "x" top: "y"\npooling_param { ${fields} } }`;
const build = (text: string, options: GraphOptions = {}, state: NetState = {}) =>
  graphFromCaffe(filterNet(readNet(text, { file: 'net.prototxt' }), state), options);
const topOf = (text: string) => build(text).values.at(-1)!.shape;

function refusal(work: () => unknown): GraphError | PrototxtError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof GraphError || error instanceof PrototxtError, String(error));
    return error as GraphError;
  }
  return assert.unreachable('it was accepted') as never;
}

/** The warnings that some work gives. */
async function warnings(work: () => unknown): Promise<string[]> {
  const found: string[] = [];
  const listen = (warning: Error) => found.push(warning.message);
  process.on('warning', listen);
  work();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  return found;
}

for (const [text, message] of [
  [
    conv('kernel_size: 3 weight_filler { type: "xavir" }'),
    /3:.*filler type "xavir" is unknown; did you mean "xavier"\? \(known: constant, .*bilinear, diagonal\)/,
  ],
  [
    conv('kernel_size: 3 bias_filler { type: "gaussianstatic" }'),
    /3:.*filler type "gaussianstatic" is unknown/,
  ],
  [
    conv('kernel_size: 3 weight_filler { type: "gaussian" std: 0 }'),
    /std must be above 0, found 0; .*constant/,
  ],
  [conv('kernel_size: 3 weight_filler { type: "uniform" min: 1 max: -1 }'), /min 1 is above max -1/],
  [
    conv('kernel_size: 3 weight_filler { type: "xavier" sparse: 2 }'),
    /sparse belongs only to the gaussian filler/,
  ],
  [
    conv('kernel_h: 2 kernel_w: 3 weight_filler { type: "bilinear" }'),
    /bilinear filler takes 4 axes and a square kernel, this blob is 4×4×2×3/,
  ],
  [
    `${DATA}layer { name: "s" type: "Scale" bottom: "x" top: "y" scale_param { filler { type: "ones" } } }`,
    /filler type "ones"/,
  ],
  [
    `${DATA}layer { name: "s" type: "PReLU" bottom: "x" top: "y" prelu_param { filler { type: "Constant" } } }`,
    /did you mean "constant"/,
  ],
  [conv('kernel_size: 3 variance_norm: FAN_IN'), /ConvolutionParameter has no field "variance_norm"/],
  [
    conv('kernel_size: 3 weight_filler { type: "msra" variance_norm: fan_in }'),
    /expects one of FAN_IN, FAN_OUT, AVERAGE, found "fan_in"/,
  ],
] as const)
  test(`a filler that Caffe refuses is refused with its position: ${text.split('\n')[1]!.slice(-70)}`, () => {
    const { message: found } = refusal(() => build(text));
    assert.match(found, message);
    assert.match(found, /net\.prototxt:\d+:\d+: /);
  });

test("sparse keeps the given number of weights per input on average, as Caffe's gaussian filler does", () => {
  const filler = { type: 'gaussian', value: 0, min: 0, max: 1, mean: 0, std: 1, sparse: 3 } as const;
  const spec = { ...filler, variance_norm: 'FAN_IN' } as const;
  assert.is(fillerProblem(spec, [30, 1000]), null);
  const values = new Float32Array(30_000);
  for (const _ of filling(spec, [30, 1000], seededRandom(1), values));
  const share = values.filter((value) => value !== 0).length / values.length;
  assert.ok(Math.abs(share - 0.1) < 0.01, `${share}`);
});

for (const [text, message] of [
  [conv('kernel_size: 3 kernel_h: 3'), /gives both kernel_size and kernel_h/],
  [conv('kernel_size: 3 kernel_h: 3 kernel_w: 3'), /gives both kernel_size and kernel_h/],
  [conv('kernel_h: 3'), /gives kernel_h without kernel_w; give both, or kernel_size/],
  [conv('kernel_w: 3'), /gives kernel_w without kernel_h/],
  [conv('kernel_size: 3 pad: 1 pad_h: 0'), /gives both pad and pad_h/],
  [conv('kernel_size: 3 stride: 2 stride_w: 2 stride_h: 2'), /gives both stride and stride_h/],
  [conv('kernel_size: 3 stride_h: 2'), /gives stride_h without stride_w/],
  [conv('kernel_size: 3 stride: 0'), /stride must be from 1/],
  [conv('kernel_size: 3 pad: 1 pad: 1 pad: 1'), /pad must be given once, or once for height .* 3 times/],
  [pool('kernel_size: 3 kernel_h: 3 kernel_w: 3'), /gives both kernel_size and kernel_h and kernel_w/],
  [pool('kernel_h: 3'), /gives kernel_h without kernel_w/],
  [pool('kernel_size: 3 pad: 1 pad_h: 1 pad_w: 1'), /gives both pad and pad_h/],
  [pool('kernel_size: 3 pad_w: 1'), /gives pad_w without pad_h/],
  [pool('kernel_size: 3 stride_h: 2'), /gives stride_h without stride_w/],
  [pool('kernel_size: 3 stride: 2 stride_h: 2 stride_w: 2'), /gives both stride and stride_h/],
  [pool('global_pooling: true kernel_w: 2'), /global_pooling takes no kernel size/],
  [pool('kernel_size: 3 pool: max'), /expects one of MAX, AVE, STOCHASTIC, AVE_EXC_PAD, AVE_TF, found "max"/],
] as const)
  test(`half a pair, or two pairs, are refused with their position: ${text.split('\n')[1]!.slice(0, 70)}`, () => {
    const { message: found } = refusal(() => build(text));
    assert.match(found, message);
    assert.match(found, /net\.prototxt:3:\d+: /);
  });

test("a pad on one side only is 0 on the other, as in Caffe's base convolution layer", () => {
  assert.equal(topOf(conv('kernel_size: 3 pad_h: 1')), [2, 4, 9, 7]);
});

test("kernel_h next to kernel_size is ignored, as in Caffe's pooling, but with a warning", async () => {
  const said = await warnings(() => assert.equal(topOf(pool('kernel_size: 3 kernel_h: 5')), [2, 4, 7, 7]));
  assert.match(said.join(), /"p" \(Pooling\): kernel_h beside kernel_size is ignored/);
});

test('a NUL byte in a string is refused with its position', () => {
  const { code, message } = refusal(() => readNet('\nname: "a\0b"', { file: 'net.prototxt' }));
  assert.is(code, 'prototxt/nul');
  assert.match(message, /^net\.prototxt:2:9: /);
  assert.is(readNet('name: "a\\000b"', { file: 'net.prototxt' }).name, 'a\0b');
});

test('an Input with more shapes than tops, or with bottoms, is refused', () => {
  const shape = 'shape { dim: 1 }';
  assert.match(
    refusal(() => build(`layer { name: "i" type: "Input" top: "x" input_param { ${shape} ${shape} } }`))
      .message,
    /2 shapes for 1 tops/,
  );
  assert.match(
    refusal(() => build(`${DATA}layer { name: "i" type: "Input" bottom: "x" top: "y" }`)).message,
    /takes no bottoms/,
  );
});

const MOODY = (phase: string) => `state { phase: ${phase} stage: "b" }
${DATA}layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" }
layer { name: "d" type: "Dropout" bottom: "y" top: "z" include { stage: "b" } }`;

test("a net's own state decides both filtering and BatchNorm", () => {
  assert.equal(
    build(MOODY('TRAIN')).nodes.map(({ operation }) => operation.kind),
    ['batchNorm', 'dropout'],
  );
  assert.equal(
    build(MOODY('TEST')).nodes.map(({ operation }) => operation.kind),
    ['affine', 'identity'],
  );
});

test("a requested phase takes precedence over the net's own, with a message", async () => {
  const said = await warnings(() =>
    assert.is(build(MOODY('TRAIN'), {}, { phase: 'TEST' }).nodes[0]!.operation.kind, 'affine'),
  );
  assert.match(said.join(), /net\.prototxt:1:9: the net's own state says phase TRAIN; the requested TEST/);
});

test("a layer's own phase decides how it computes, as in Net::Init", () => {
  const text = `${DATA}layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" phase: TRAIN }`;
  assert.is(build(text, { phase: 'TEST' }).nodes[0]!.operation.kind, 'batchNorm');
});

test('ceil_mode is read as round_mode, and equal pads on each side as pad_h and pad_w', () => {
  assert.equal(topOf(pool('kernel_size: 2 stride: 2')), [2, 4, 5, 5]);
  assert.equal(topOf(pool('kernel_size: 2 stride: 2 ceil_mode: false')), [2, 4, 4, 4]);
  assert.equal(topOf(pool('kernel_size: 2 stride: 2 ceil_mode: true')), [2, 4, 5, 5]);
  assert.match(
    refusal(() => build(pool('kernel_size: 2 ceil_mode: true round_mode: FLOOR'))).message,
    /3:\d+: ceil_mode: true .* says CEIL, round_mode says FLOOR/,
  );
  assert.equal(topOf(conv('kernel_size: 3 pad_l: 1 pad_r: 1 pad_t: 2 pad_b: 2')), [2, 4, 11, 9]);
  const { values, outputs } = build(conv('kernel_size: 3 pad_l: 1 pad_r: 2'));
  assert.equal(values[outputs[0]!]!.shape, [2, 4, 7, 10]);
  assert.match(refusal(() => build(conv('kernel_size: 3 pad_l: 1 pad_r: 1 pad: 1'))).message, /beside pad;/);
});

test("a net's force_mult has no effect without its solver's force_decay, and is refused", () => {
  const text = conv('kernel_size: 3').replace(
    'convolution_param',
    'param { force_mult: 1 } convolution_param',
  );
  assert.equal(topOf(text), topOf(conv('kernel_size: 3')));
  assert.match(
    refusal(() => readSolver('net: "n" base_lr: 1 force_decay: 0.1', { file: 's.prototxt' })).message,
    /s\.prototxt:1:\d+: .*force_decay.*wenwei202's fork/,
  );
});

test('hole, for both axes or one, is read as dilation, also in a HoleConvolution', () => {
  const hole = (fields: string) => conv(fields).replace('"Convolution"', '"HoleConvolution"');
  for (const layer of [conv, hole]) {
    assert.equal(topOf(layer('kernel_size: 3 hole: 2')), topOf(conv('kernel_size: 3 dilation: 2')));
    assert.equal(
      topOf(layer('kernel_size: 3 hole_h: 2 hole_w: 3')),
      topOf(conv('kernel_size: 3 dilation: 2 dilation: 3')),
    );
    assert.equal(
      topOf(layer('kernel_size: 3 hole_w: 3')),
      topOf(conv('kernel_size: 3 dilation: 1 dilation: 3')),
    );
  }
  for (const [fields, message] of [
    ['hole: 2 hole_h: 2', /hole is given beside hole_h and hole_w; keep one/],
    ['hole_h: 2 dilation: 2', /hole_h .* is given beside dilation; keep one/],
    ['hole: 0', /dilation must be from 1/],
  ] as const)
    assert.match(refusal(() => build(conv(`kernel_size: 3 ${fields}`))).message, message);
});

test('a missing field of a data layer is refused if its data is needed, and ignored if its shapes are given', () => {
  const text =
    'layer { name: "d" type: "ImageData" top: "data" image_data_param { source: "s" batch_size: 2 use_image: true } }';
  const net = readNet(text, { file: 'net.prototxt' });
  const data = [2, 3, 4, 4];
  assert.equal(graphFromCaffe(net, { inputShapes: { data } }).values[0]!.shape, data);
  assert.match(refusal(() => graphFromCaffe(net)).message, /--input-shape data=/);
  assert.match(
    refusal(() => refuseForeignLayers(net.layer!)).message,
    /net\.prototxt:1:\d+: ImageDataParameter has no field "use_image"; when its shapes are given \(--input-shape\)/,
  );
});

test("an old layer of a fork that reads data is an input whatever its fields are called, other old layers' fields are refused", () => {
  const data = (type: string, field: string) =>
    filterNet(
      readNet(`layers { name: "a" type: ${type} top: "y" ${field} { label_dim: 20 } }`, {
        file: 'net.prototxt',
      }),
    );
  const shapes = { inputShapes: { y: [1, 3, 4, 4] } };
  assert.is(graphFromCaffe(data('SELECT_SEG_BINARY', 'window_cls_data_param'), shapes).inputs.length, 1);
  assert.match(
    refusal(() => graphFromCaffe(data('SELECT_SEG_BINARY', 'window_cls_data_param'))).message,
    /"SelectSegBinary" is not supported.*its tops become inputs when their shapes are known/,
  );
  for (const field of ['window_cls_data_param', 'data_parm'])
    assert.match(
      refusal(() => graphFromCaffe(data('DATA', field), shapes)).message,
      new RegExp(`net\\.prototxt:1:\\d+: V1LayerParameter has no field "${field}"`),
    );
});

test('a window over a volume with missing or repeated sizes is refused with its position', () => {
  for (const [layer, message] of [
    ['type: "Convolution3D"', /net\.prototxt:2:7: a Convolution3D needs kernel_depth/],
    [
      'type: "Pooling" pooling_param { kernel_size: [2, 2] kernel_size: [2, 2] }',
      /net\.prototxt:2:\d+: "kernel_size" is given twice/,
    ],
    [
      'type: "Pooling" pooling_param { kernel_size: 2 kernel_size: 2 }',
      /net\.prototxt:2:\d+: "kernel_size" is given twice, but a PoolingParameter has only one/,
    ],
    [
      'type: "NdConvolution" convolution_param { kernel_size: 2 kernel_shape { dim: [2, 2, 2] } }',
      /net\.prototxt:2:\d+: gives both kernel_size and kernel_shape/,
    ],
  ] as const)
    assert.match(
      refusal(() => build(`${DATA}layer { name: "v" bottom: "x" top: "y" ${layer} }`)).message,
      message,
    );
});

test('a word in place of a number is reported as a possible template', () => {
  assert.match(
    refusal(() => build(conv('kernel_size: 3 group: cls3x'))).message,
    /"group" expects a non-negative integer, found "cls3x"; if the file is a template/,
  );
  assert.not.match(refusal(() => build(conv('kernel_size: three'))).message, /template/);
});

test('a placeholder of a template is named, with what to do', () => {
  for (const [param, message] of [
    [
      'kernel_size: $SIDE',
      /"kernel_size" expects a non-negative integer, found "\$SIDE"; the file is a template: .* a value for \$SIDE/,
    ],
    [
      `kernel_size: 3 bias_term: \${bias}`,
      /expects true or false, found "\$\{bias\}"; the file is a template/,
    ],
    ['kernel_size: 3 engine: $(ENGINE)', /CUDNN, found "\$\(ENGINE\)"; the file is a template/],
    [
      'kernel_size: 3 weight_filler { type: $FILLER }',
      /a quoted string, found "\$FILLER"; the file is a template/,
    ],
    ['kernel_size: {{ side }}', /found "\{\{ side \}\}"; the file is a template/],
    ['kernel_size: %(side)d', /found "%\(side\)d"; the file is a template/],
    ['kernel_size: %d', /found "%d"; the file is a template/],
    ['kernel_size: @SIDE@', /found "@SIDE@"; the file is a template/],
  ] as const)
    assert.match(refusal(() => build(conv(param))).message, message);
});

test('fork fields that only affect performance are ignored, with one warning that names them and their fork', async () => {
  const text = `default_forward_type: FLOAT16 eltwise_mem_sharing: false bn_stats_batch_size: 32 engine: "MKL2017"
${conv('kernel_size: 3 engine: MKL2017 conv_algos_override: 1')}
layer { name: "r" type: "ReLU" bottom: "y" top: "y" forward_type: FLOAT backward_type: FLOAT
  relu_param { engine: MKLDNN } quantization_param { scale_in: 1.5 scale_in: [1, 2] } }`;
  const said = await warnings(() => assert.is(build(text).nodes.length, 2));
  assert.is(said.length, 1);
  assert.match(
    said[0]!,
    /^net\.prototxt:1:1: ignored, because it only tunes .*default_forward_type, .*bn_stats_batch_size/,
  );
  assert.match(said[0]!, /NVIDIA's .*Intel's/);
  const solver = await warnings(() =>
    readSolver('base_lr: 1 solver_data_type: FLOAT16', { file: 's.prototxt' }),
  );
  assert.match(solver.join(), /s\.prototxt:1:12: .*solver_data_type/);
});

test('a foreign field of a foreign layer is reported with the layer type; one of a known layer is itself refused', () => {
  const foreign = `${DATA}layer { name: "video" bottom: "x" top: "y" video_data_param { video_file: "x" } type: "VideoData" }`;
  const { code, message } = refusal(() => build(foreign));
  assert.is(code, 'graph/fork-type');
  assert.match(message, /"video" \(VideoData\).*layer type "VideoData" is not in BVLC's Caffe: .* SSD's/);
  const known = `${DATA}layer { name: "r" type: "ReLU" bottom: "x" top: "y" relu_param { maximum: 6 } }`;
  assert.match(
    refusal(() => build(known)).message,
    /2:\d+: ReLUParameter has no field "maximum": .*Synopsys/,
  );
  // If both are missing, the type is reported first.
  assert.is(
    refusal(() => build(`${known}\n${foreign.replace(DATA, '').replaceAll('"y"', '"z"')}`)).code,
    'graph/fork-type',
  );
});

test("the unknown fields of a fork's data layer do not matter if its tops have shapes", () => {
  const data = (type: string, field: string) =>
    `layer { name: "d" type: "${type}" top: "x" ${field} } layer { name: "r" type: "ReLU" bottom: "x" top: "y" }`;
  const shapes = { inputShapes: { x: [1, 3, 8, 8] } };
  for (const field of [
    // Both are like a field of Caffe's.
    'heatmap_data_param { source: "a" }',
    'cpm_transform_param { stride: 8 }',
    'transform_param { zap_quux: 3 }',
  ])
    graphFromCaffe(readNet(data('CPMData', field), { file: 'net.prototxt' }), shapes);
  assert.is(
    refusal(() => build(data('CPMData', 'cpm_transform_param { stride: 8 }'))).code,
    'graph/unknown-type',
  );
  for (const field of ['data_parm { source: "a" }', 'transform_param { mirrror: true }'])
    assert.match(
      refusal(() => graphFromCaffe(readNet(data('Data', field), { file: 'net.prototxt' }), shapes)).message,
      /did you mean "(?:data_param|mirror)"/,
    );
});

test('unknown fields of a layer with a user-defined type are reported with that layer', () => {
  const own = (type: string, param: string) =>
    `${DATA}layer { name: "o" bottom: "x" top: "y" ${param} { odd: "}" at { x: 1 } } type: "${type}" }`;
  for (const [type, param] of [
    ['MaskedPooling', 'masked_pooling_param'],
    ['ROIWrapping', 'roi_wrapping_param'],
    ['Dazzle', 'quux_zap'],
    // Like mvn_param.
    ['MMDLoss', 'mmd_param'],
  ] as const) {
    const { code, message } = refusal(() => build(own(type, param)));
    assert.is(code, 'graph/unknown-type');
    assert.match(
      message,
      new RegExp(`"o" \\(${type}\\) at net\\.prototxt:2:\\d+: layer type "${type}" is not`),
    );
    assert.match(message, /a function in JavaScript: write type: "Python" python_param/);
  }
  assert.match(
    refusal(() => build(own('DazzleLoss', 'dazzle_loss_param'))).message,
    /use its deploy file, or let resnode print --deploy write it/,
  );
  // A known layer is refused because of the field, whatever the field is called.
  assert.match(
    refusal(() => build(own('ReLU', 'quux_zap'))).message,
    /net\.prototxt:2:\d+: LayerParameter has no field "quux_zap"$/,
  );
  // Without a type it is unknown which fork the field belongs to.
  assert.match(
    refusal(() => build('layer { quux_zap: 1 }')).message,
    /1:9: LayerParameter has no field "quux_zap"/,
  );
  // An ending that all parameters share does not make a name similar.
  assert.not.match(refusal(() => build(own('ReLU', 'denseblock_param'))).message, /did you mean/);
});

test('an unknown field is refused with the place where it belongs, or with the fields of its message', () => {
  const messageOf = (text: string) => refusal(() => build(text)).message;
  assert.match(
    messageOf('layer { name: "c" type: "Convolution" num_output: 4 }'),
    /LayerParameter has no field "num_output"; it is a field of convolution_param$/,
  );
  assert.match(
    messageOf('layer { num_output: 4 }'),
    /no field "num_output"; it is a field of .*convolution_param.*inner_product_param/,
  );
  assert.match(
    messageOf('layer { type: "ELU" elu_param { leak: 0.1 } }'),
    /ELUParameter has no field "leak"; its fields are alpha$/,
  );
});

test('a typo is still refused with the most similar field', () => {
  assert.match(
    refusal(() => readNet(conv('kernel_sise: 3'), { file: 'net.prototxt' })).message,
    /no field "kernel_sise"; did you mean "kernel_size"/,
  );
  for (const slip of ['convolution_parm', 'convoluton_param', 'convolutionparam'])
    assert.match(
      refusal(() => readNet(conv('').replace('convolution_param', slip), { file: 'net.prototxt' })).message,
      new RegExp(
        `net\\.prototxt:3:1: LayerParameter has no field "${slip}"; did you mean "convolution_param"`,
      ),
    );
  assert.match(
    refusal(() => readNet('layers { name: "c" type: CONVOLUTON }', { file: 'net.prototxt' })).message,
    /net\.prototxt:1:\d+: "type" expects one of .*; did you mean CONVOLUTION\?/,
  );
});

test('no two fields of a message have the same number', () => {
  for (const [message, fields] of Object.entries(messages)) {
    const numbers = new Map<number, string>();
    for (const [field, [number]] of Object.entries(fields)) {
      assert.is(numbers.get(number), undefined, `${message}: ${field} has ${number}, too`);
      numbers.set(number, field);
    }
  }
});

const facts = join(sharedFolder() ?? '', 'fork-fields.md');
if (!existsSync(facts))
  console.log("skipped: no facts of forks' files at shared/fork-fields.md beside the checkout");
else
  test('every field of a layer is attributed to a fork whose caffe.proto contains it', () => {
    const [, numbers = ''] = readFileSync(facts, 'utf8').split(/^## /m);
    const owners = new Map<string, string[]>();
    for (const row of numbers.matchAll(/^\| ([^|]+) \| \w+ \| ([^|]+) \|$/gm))
      for (const [, field] of row[2]!.matchAll(/(\w+) = \d+/g))
        owners.set(field!, [...(owners.get(field!) ?? []), row[1]!.split(' ')[0]!]);
    assert.ok(owners.size > 25, `${owners.size} fields`);
    // Our names of forks, and the repositories of that list.
    const called: Record<string, RegExp> = {
      'NVIDIA/caffe': /nvcaffe/,
      'chuanqi305/ssd': /chuanqi305/,
      'chuanqi305/caffe-fast-rcnn': /chuanqi305/,
      'eric612/MobileNet-YOLO': /eric612/,
      'hszhao/PSPNet': /PSPNet/,
      'TimoSaemann/caffe-enet': /ENet/,
    };
    for (const [field, repositories] of owners) {
      if (Object.hasOwn(messages.LayerParameter!, field)) continue;
      const said = forkOfField('LayerParameter', field) ?? '';
      const isNamed = repositories.some((each) => (called[each] ?? new RegExp(each)).test(said));
      assert.ok(isNamed, `${field} of ${repositories}: ${said || 'unknown'}`);
    }
  });

test.run();
