/** The inputs of detectors and segmenters if the preprocessing has no size, and whether images run together. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filterNet, type NetParameter, readNet, readNetFile } from '../../ts/index.ts';
import { wholeInputsOf } from '../../ts/quantize/whole-inputs.ts';
import { shadeNet, squareCascade, squareRegions, squareSsd } from '../support/task-nets.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-whole-inputs-'));
test.after(() => rmSync(folder, { recursive: true }));

function shown(net: NetParameter) {
  const inputs = wholeInputsOf(filterNet(net, { phase: 'TEST' }));
  assert.ok(inputs);
  const { imageInfo, resize, takesSeveral } = inputs;
  return { imageInfo, resize, takesSeveral };
}
const netOf = (written: string) => readNetFile(join(written, 'model.prototxt'));

test('SSD: the size of the input, several at once', () => {
  assert.equal(shown(netOf(squareSsd(join(folder, 'ssd')))), {
    imageInfo: null,
    resize: { width: 32, height: 32 },
    takesSeveral: true,
  });
});

test("Faster R-CNN: py-faster-rcnn's sides, one after the other; Cascade R-CNN: the input's own sides", () => {
  assert.equal(shown(netOf(squareRegions(join(folder, 'regions')))), {
    imageInfo: 'im_info',
    resize: { shorterSide: 600, longestSide: 1000 },
    takesSeveral: false,
  });
  assert.equal(shown(netOf(squareCascade(join(folder, 'cascade')))).resize, {
    shorterSide: 64,
    longestSide: 64,
    multipleOf: 32,
  });
});

test('a segmenter: each image at its own size, or one size and one image if the net is written for these', () => {
  assert.equal(shown(netOf(shadeNet(join(folder, 'shades')))), {
    imageInfo: null,
    resize: null,
    takesSeveral: true,
  });
  const fixed = readNet(
    `name: "fixed"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 8 dim: 16 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "map" type: "Reshape" bottom: "score" top: "map" reshape_param { shape { dim: 1 dim: 2 dim: 8 dim: 16 } } }`,
    { file: 'fixed.prototxt' },
  );
  assert.equal(shown(fixed), { imageInfo: null, resize: { width: 16, height: 8 }, takesSeveral: false });
});

test.run();
