/**
 * Public nets that detect, segment and classify at batch 1, beside onnxruntime-node, which runs the same net with the
 * same random weights: `tsx bench/detectors.ts [--threads 2] [--rounds 15] [--out bench/results/NAME.json] [--nets
 * FOLDER] [NAME...]`. FOLDER holds the public prototxts; DeepLab is built here. What ONNX cannot express is left out on
 * both sides. The blobs before the detections are compared, because random weights give hardly any detections. The
 * engines take turns, and before each run all threads sleep: onnxruntime's threads spin for about 30 ms after a run, on
 * the cores that the next one needs.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { randomValues, randomWeights } from '../test/support/random-weights.ts';
import { resnet } from '../ts/architectures/resnet.ts';
import { elementCount } from '../ts/base/shape.ts';
import { blobsOf } from '../ts/convert/network.ts';
import { onnxChunks } from '../ts/convert/onnx-write.ts';
import { toOnnx } from '../ts/convert/to-onnx.ts';
import { withOutputs } from '../ts/graph/outputs.ts';
import {
  filterNet,
  graphFromCaffe,
  type LayerParameter,
  type NetParameter,
  openDevice,
  readNet,
} from '../ts/index.ts';
import { removeUnused } from '../ts/passes/simplify.ts';
import { machineCeilings } from '../ts/tools/bench/ceilings.ts';
import { commit, describeMachine } from '../ts/tools/bench/machine.ts';
import { loadOnnxRuntime } from '../ts/tools/bench/onnxruntime.ts';

interface Case {
  readonly net: () => NetParameter;
  readonly inputShapes: Record<string, readonly number[]>;
  /** The blobs that are compared. If the whole net cannot be exported, both engines run up to them. */
  readonly head: readonly string[];
}

const { values: flags, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '15' },
    out: { type: 'string' },
    nets: { type: 'string', default: '../shared/nets' },
  },
});
const [threads, rounds] = [Number(flags.threads), Number(flags.rounds)];

const inFolder = (name: string) => () => {
  const file = join(flags.nets, `${name}.prototxt`);
  return filterNet(readNet(readFileSync(file, 'utf8'), { file }));
};

const CASES: Readonly<Record<string, Case>> = {
  'res10-SSD': {
    net: inFolder('dkurt_opencv__samples_dnn_face_detector_deploy'),
    inputShapes: { data: [1, 3, 300, 300] },
    head: ['mbox_loc', 'mbox_conf_flatten'],
  },
  'MobileNet-SSD': {
    net: inFolder('chuanqi305_MobileNet-SSD__voc_MobileNetSSD_deploy'),
    inputShapes: { data: [1, 3, 300, 300] },
    head: ['mbox_loc', 'mbox_conf_flatten'],
  },
  'R-FCN ResNet-101': {
    net: inFolder('YuwenXiong_py-R-FCN__models_pascal_voc_ResNet-101_rfcn_end2end_test_agnostic'),
    inputShapes: { data: [1, 3, 600, 1000], im_info: [1, 3] },
    head: ['rpn_cls_prob_reshape', 'rpn_bbox_pred', 'rfcn_cls', 'rfcn_bbox'],
  },
  'DeepLab ResNet-101': { net: deepLab, inputShapes: { data: [1, 3, 513, 513] }, head: ['fc1'] },
  'SE-ResNeXt-50': {
    net: inFolder('hujie-frank_SENet__models_SE-ResNeXt-50'),
    inputShapes: { data: [1, 3, 224, 224] },
    head: ['prob'],
  },
  'SE-ResNet-50': {
    net: inFolder('hujie-frank_SENet__models_SE-ResNet-50'),
    inputShapes: { data: [1, 3, 224, 224] },
    head: ['prob'],
  },
  'ShuffleNet-v2': {
    net: inFolder('farmingyard_ShuffleNet__shufflenet_v2_1x_deploy'),
    inputShapes: { data: [1, 3, 224, 224] },
    head: ['fc1000'],
  },
  'DeepLab-v3 MobileNet-v2': {
    net: inFolder(
      'foss-for-synopsys-dwc-arc-processors_synopsys-caffe-models__caffe_models_deeplab_deeplabv3_mnv2_pascal_train_aug_deeplabv3_mnv2_pascal_train_aug',
    ),
    inputShapes: { sub_7: [1, 3, 513, 513] },
    head: ['ResizeBilinear_3'],
  },
  ENet: {
    net: inFolder('TimoSaemann_ENet__prototxts_enet_deploy_final'),
    inputShapes: { data: [1, 3, 512, 1024] },
    head: ['deconv6_0_0'],
  },
  'PSPNet-50': {
    net: inFolder('hszhao_PSPNet__evaluation_prototxt_pspnet50_ADE20K_473'),
    inputShapes: { data: [1, 3, 473, 473] },
    head: ['conv6_interp'],
  },
  HED: {
    net: inFolder('s9xie_hed__examples_hed_deploy'),
    inputShapes: { data: [1, 3, 500, 500] },
    head: ['sigmoid-fuse'],
  },
};

/**
 * DeepLab v2 (https://arxiv.org/abs/1606.00915, section 3.2): stride 8 by dilation, the sum of four rates, 21 classes.
 */
function deepLab(): NetParameter {
  const dilated = (layer: LayerParameter): LayerParameter => {
    const stage = /^res([45])/.exec(layer.name ?? '')?.[1];
    const convolution = layer.convolution_param as Record<string, unknown> | undefined;
    if (stage === undefined || convolution === undefined) return layer;
    const isWide = layer.name!.endsWith('branch2b');
    const rate = stage === '4' ? 2 : 4;
    const param = { ...convolution, stride: [1], ...(isWide ? { dilation: [rate], pad: [rate] } : {}) };
    return { ...layer, convolution_param: param };
  };
  const layers = resnet({ depth: 101 }).layer!;
  const body = layers.slice(
    0,
    layers.findIndex(({ name }) => name === 'pool5'),
  );
  const last = body.at(-1)!.top![0]!;
  const branches = [6, 12, 18, 24].map(
    (rate): LayerParameter => ({
      name: `fc1_${rate}`,
      type: 'Convolution',
      bottom: [last],
      top: [`fc1_${rate}`],
      convolution_param: { num_output: 21, kernel_size: [3], pad: [rate], dilation: [rate] },
    }),
  );
  const sum = { name: 'fc1', type: 'Eltwise', bottom: branches.map(({ name }) => name!), top: ['fc1'] };
  return { name: 'DeepLab ResNet-101', layer: [...body.map(dilated), ...branches, sum] };
}

const median = (times: readonly number[]) => times.toSorted((a, b) => a - b)[times.length >> 1]!;
const round = (milliseconds: number) => Math.round(milliseconds * 1000) / 1000;
const summary = (times: readonly number[]) => ({
  median: round(median(times)),
  least: round(Math.min(...times)),
  most: round(Math.max(...times)),
});

/** The net up to its head, and with its own outputs if ONNX can express them. */
function exported(net: NetParameter, { inputShapes, head }: Case) {
  const whole = graphFromCaffe(net, { inputShapes });
  const weights = randomWeights(whole);
  const cut = removeUnused(withOutputs(whole, head));
  const read = new Set(cut.nodes.flatMap(({ inputs }) => inputs));
  const inputs = cut.inputs.filter((id) => read.has(id));
  const upToHead = {
    file: [...onnxChunks(toOnnx({ ...cut, inputs }, blobsOf(whole, weights)))],
    outputs: head,
    missing: null,
  };
  try {
    const file = [...onnxChunks(toOnnx(whole, blobsOf(whole, weights)))];
    const outputs = whole.outputs.map((id) => whole.values[id]!.blob);
    return { weights, upToHead, timed: { file, outputs, missing: null } };
  } catch (error) {
    return { weights, upToHead, timed: { ...upToHead, missing: (error as Error).message } };
  }
}

/** Longer than the threads of either engine spin. */
const asleep = () => setTimeout(100);

async function measure(name: string, each: Case, folder: string) {
  const { InferenceSession, Tensor } = loadOnnxRuntime();
  const net = each.net();
  const { weights, upToHead, timed } = exported(net, each);
  using device = await openDevice('cpu', { threads });
  const sides = async ({ file, outputs }: { file: readonly Uint8Array[]; outputs: readonly string[] }) => {
    const path = join(folder, 'net.onnx');
    writeFileSync(path, Buffer.concat(file));
    const model = await device.load({ model: net, weights, inputShapes: each.inputShapes, outputs });
    const session = await InferenceSession.create(path, {
      logSeverityLevel: 3,
      intraOpNumThreads: threads,
      graphOptimizationLevel: 'all',
    });
    const inputs = Object.fromEntries(
      Object.entries(model.inputs).map(([blob, shape], i) => {
        const data =
          blob === 'im_info'
            ? Float32Array.of(each.inputShapes.data![2]!, each.inputShapes.data![3]!, 1)
            : randomValues(elementCount(shape), 2, 0, i);
        return [blob, { shape, data }];
      }),
    );
    const feeds = Object.fromEntries(
      session.inputNames.map((blob) => [
        blob,
        new Tensor('float32', inputs[blob]!.data, inputs[blob]!.shape),
      ]),
    );
    return { model, session, ours: () => model.run(inputs), theirs: () => session.run(feeds) };
  };

  let worst = 0;
  {
    const { model, session, ours, theirs } = await sides(upToHead);
    using _ = model;
    const [a, b] = [await ours(), await theirs()];
    for (const [k, output] of upToHead.outputs.entries()) {
      const [left, right] = [a[output]!.data, b[session.outputNames[k]!]!.data];
      if (left.length !== right.length)
        throw new Error(`${name}: ${output} has ${left.length} and ${right.length} values`);
      const largest = left.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      worst = left.reduce((most, value, j) => Math.max(most, Math.abs(value - right[j]!) / largest), worst);
    }
  }

  const { model, ours, theirs } = await sides(timed);
  using _ = model;
  const times: { resnode: number[]; peer: number[] } = { resnode: [], peer: [] };
  const time = async (into: number[], run: () => Promise<unknown>) => {
    await asleep();
    const start = performance.now();
    await run();
    into.push(performance.now() - start);
  };
  for (let i = 0; i < rounds + 2; i++) {
    await time(times.resnode, ours);
    await time(times.peer, theirs);
  }
  const [mine, peer] = [summary(times.resnode.slice(2)), summary(times.peer.slice(2))];
  return {
    name,
    inputShapes: each.inputShapes,
    outputs: timed.outputs,
    leftOut: timed.missing,
    macs: model.plan().macs,
    resnode: mine,
    'onnxruntime-node': peer,
    ratio: Math.round((100 * peer.median) / mine.median) / 100,
    compared: upToHead.outputs,
    differs: worst,
  };
}

const unknown = asked.filter((name) => !Object.hasOwn(CASES, name));
if (unknown.length > 0) {
  console.error(`there is no net ${unknown.join(', ')}: ${Object.keys(CASES).join(', ')}`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'resnode-detectors-'));
const ceilings = await machineCeilings(threads, 4);
console.log(`sgemm ${ceilings.gflops.toFixed(0)} GFLOP/s, memory ${ceilings.bandwidth.toFixed(1)} GB/s`);
const results = [];
try {
  for (const name of asked.length > 0 ? asked : Object.keys(CASES)) {
    const measured = await measure(name, CASES[name]!, folder);
    // Counts all convolutions as direct ones. Winograd's algorithms multiply less, so their time may be below this
    // limit.
    const result = { ...measured, sgemmMilliseconds: round((2 * measured.macs) / ceilings.gflops / 1e6) };
    results.push(result);
    const { resnode, 'onnxruntime-node': peer, ratio, leftOut, differs } = result;
    console.log(
      `${name}: resnode ${resnode.median} ms, onnxruntime-node ${peer.median} ms, ${ratio}×; its products alone ${result.sgemmMilliseconds} ms of sgemm; differs by ${differs.toExponential(1)}${leftOut === null ? '' : `; up to ${result.outputs.join(', ')}`}`,
    );
  }
} finally {
  rmSync(folder, { recursive: true });
}
const report = {
  schema: 'resnode-detectors/1',
  date: new Date().toISOString(),
  commit: commit(),
  machine: describeMachine(),
  threads,
  rounds,
  ceilings,
  results,
};
if (flags.out !== undefined) writeFileSync(flags.out, `${JSON.stringify(report, null, 1)}\n`);
