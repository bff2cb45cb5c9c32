/** What kind public nets are recognised as by their layers only: detectors, segmenters, or neither. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filterNet, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { findDetectorHead } from '../../ts/images/detect/head.ts';
import { imageInput, inputsOf } from '../../ts/images/features/image-input.ts';
import { findSegmenterHead, takesAnySize } from '../../ts/images/segment/head.ts';
import { GraphError } from '../../ts/index.ts';
import { sharedFolder } from '../support/golden.ts';

const folder = sharedFolder() === null ? null : join(sharedFolder()!, 'nets');
const read = (name: string) => {
  const net = filterNet(readNetFile(join(folder!, `${name}.prototxt`)));
  return { net, graph: graphFromCaffe(net) };
};

const DETECTORS: Readonly<Record<string, readonly [kind: string, classes: number, sets?: number]>> = {
  'chuanqi305_MobileNet-SSD__voc_MobileNetSSD_deploy': ['ssd', 21],
  dkurt_opencv__samples_dnn_face_detector_deploy: ['ssd', 2],
  WeChatCV_opencv_3rdparty__detect: ['ssd', 2],
  'rbgirshick_py-faster-rcnn__models_pascal_voc_VGG16_faster_rcnn_end2end_test': ['regions', 21, 21],
  'busyboxs_faster-rcnn__models_pascal_voc_ResNet-101_faster_rcnn_end2end_test': ['regions', 21, 21],
  'YuwenXiong_py-R-FCN__models_pascal_voc_ResNet-50_rfcn_end2end_test_agnostic': ['regions', 21, 2],
};
const SEGMENTERS: Readonly<
  Record<string, readonly [kind: string, blob: string, classes: number, anySize: boolean]>
> = {
  'shelhamer_fcn.berkeleyvision.org__voc-fcn8s_deploy': ['scores', 'score', 21, true],
  hszhao_PSPNet__evaluation_prototxt_pspnet50_ADE20K_473: ['scores', 'conv6_interp', 150, false],
  TimoSaemann_ENet__prototxts_enet_deploy_final: ['scores', 'deconv6_0_0', 19, false],
  s9xie_hed__examples_hed_deploy: ['edges', 'sigmoid-fuse', 1, true],
  'eric612_MobileNet-YOLO__models_tusimple_mobilenet_yolov3_lite_deploy': ['edges', 'sigmoid', 1, false],
};

test('public detectors are recognised by their layers: SSD, Faster R-CNN, R-FCN', () => {
  if (folder === null || !existsSync(folder)) return console.log('skipped: no shared/nets');
  for (const [name, [kind, classes, sets]] of Object.entries(DETECTORS)) {
    const { net, graph } = read(name);
    const head = findDetectorHead(net, graph);
    assert.equal(
      [head.kind, head.classes, head.kind === 'regions' ? head.sets : undefined],
      [kind, classes, sets],
      name,
    );
    assert.throws(
      () => findSegmenterHead(net, graph),
      (error: unknown) => error instanceof GraphError && error.code === 'segmenter/no-map',
    );
  }
});

test('public segmenters are recognised by their layers, and so is whether they accept images of any size', () => {
  if (folder === null || !existsSync(folder)) return console.log('skipped: no shared/nets');
  for (const [name, [kind, blob, classes, anySize]] of Object.entries(SEGMENTERS)) {
    const { net, graph } = read(name);
    const head = findSegmenterHead(net, graph);
    const input = imageInput({ inputs: inputsOf(graph, null) });
    assert.equal(
      [head.kind, head.blob, head.classes, takesAnySize(net, input, head.blob)],
      [kind, blob, classes, anySize],
      name,
    );
  }
});

test('a classifier, or a net whose regions or priors are left to the caller, is neither', () => {
  if (folder === null || !existsSync(folder)) return console.log('skipped: no shared/nets');
  for (const [name, says] of [
    ['hujie-frank_SENet__models_SE-ResNet-50', /"prob" 1×1000 \(Softmax\)/],
    ['daijifeng001_R-FCN__models_rfcn_prototxts_ResNet-50L_res3a_test', /its regions "rois" are an input/],
    ['Linzaer_Ultra-Light-Fast-Generic-Face-Detector-1MB__caffe_model_RFB-320_RFB-320', /"scores" 1×4420×2/],
  ] as const) {
    const { net, graph } = read(name);
    assert.throws(() => findDetectorHead(net, graph), says);
  }
});

test.run();
