import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PrototxtError } from '../../ts/base/errors.ts';
import { decodeMessage } from '../../ts/caffe/binary-message.ts';
import { parseMessage } from '../../ts/caffe/prototxt.ts';
import { messages } from '../../ts/caffe/schema.ts';
import { readJson, sharedFolder } from '../support/golden.ts';

const refusal = (type: string, text: string): PrototxtError => {
  try {
    parseMessage(type, text, { file: 'net.prototxt' });
  } catch (error) {
    assert.instance(error, PrototxtError);
    return error as PrototxtError;
  }
  return assert.unreachable('it was accepted') as never;
};

test("a fork's field is reported with its fork and what to do", () => {
  const { code, message } = refusal('NetParameter', 'layer {\n  forward_type: FLOAT16\n}');
  assert.is(code, 'prototxt/fork-field');
  assert.is(
    message,
    'net.prototxt:2:3: LayerParameter has no field "forward_type": it belongs to NVIDIA\'s fork of Caffe (nvcaffe) and tunes speed, memory, number format, logging or how work is divided; remove it',
  );
});

test('a field that changes results is not called harmless, and a field of several forks is reported with all of them', () => {
  assert.match(
    refusal('NetParameter', 'layer { loss_param { label_smoothing: 0.1 } }').message,
    /NVIDIA's .* and changes what is computed; remove it to have BVLC's semantics instead$/,
  );
  assert.match(
    refusal('NetParameter', 'layers { bbox_reg_param { } }').message,
    /Cascade R-CNN's .* or MS-CNN's .* changes what is computed/,
  );
});

test("for a field of a layer that BVLC lacks, the error does not promise BVLC's semantics without it", () => {
  assert.match(
    refusal('NetParameter', 'layer { type: "Mul" mul_param { mul_shape: 3 } }').message,
    /"mul_param": it belongs to Synopsys's .* and is for its Mul, which BVLC does not have; express its computation in other layers$/,
  );
});

test("for a fork's enum value, the error still lists BVLC's", () => {
  const { code, message } = refusal('NetParameter', 'layer { convolution_param { engine: MKLDNN } }');
  assert.is(code, 'prototxt/fork-enum');
  assert.match(message, /:1:37: .* DEFAULT, CAFFE, CUDNN, found "MKLDNN": it belongs to Intel's/);
});

test("a typo that is no fork's field gets a hint", () => {
  assert.is(refusal('SolverParameter', 'base_rl: 1').code, 'prototxt/unknown-field');
  assert.is(refusal('SolverParameter', 'constructor: 1').code, 'prototxt/unknown-field');
});

test("a number that forks use for different fields is read according to the layer's type", () => {
  const tagged = (number: number, ...bytes: number[]) => {
    const key = number * 8 + 2;
    return [(key & 127) | 128, key >> 7, bytes.length, ...bytes];
  };
  const layer = (type: string, ...field: number[]) => {
    const name = [...Buffer.from(type)];
    return decodeMessage(
      'LayerParameter',
      Uint8Array.of(18, name.length, ...name, ...field),
      'net.caffemodel',
    );
  };
  const one = [8, 7];
  assert.equal(layer('Permute', ...tagged(148, ...one)).permute_param, { order: [7] });
  assert.equal(layer('Permute', ...tagged(202, ...one)).permute_param, { order: [7] });
  assert.equal(layer('Interp', ...tagged(143, ...one)).interp_param, { height: 7 });
  assert.equal(layer('Upsample', ...tagged(147, ...one)).upsample_param, { scale: 7 });
  assert.equal(layer('BN', ...tagged(45, 24, 1)).bn_param, { bn_mode: 'INFERENCE' });
  assert.is(layer('Clip', ...tagged(148)).permute_param, undefined);
});

// Nets from public repositories, each with the message of BVLC's protobuf.
const wild = join(sharedFolder() ?? '', 'prototxt-wild');
if (!existsSync(join(wild, 'index.json'))) {
  console.log('skipped: no nets from the wild at shared/prototxt-wild beside the checkout');
} else {
  const index = readJson<{ file: string; kind: 'net' | 'solver'; bvlc_parse: string }[]>(
    join(wild, 'index.json'),
  );
  const typeOf = { net: 'NetParameter', solver: 'SolverParameter' };
  for (const { file, kind, bvlc_parse } of index) {
    const text = readFileSync(join(wild, file), 'utf8');
    if (bvlc_parse === 'ok') {
      test(`${file} parses`, () => {
        parseMessage(typeOf[kind], text, { file });
      });
      continue;
    }
    const [, type, field] = /type "caffe\.(\w+)" has no field named "(\w+)"/.exec(bvlc_parse)!;
    // The upgrade renames these to BVLC's fields.
    if (['ceil_mode', 'pad_l'].includes(field!)) continue;
    if (Object.hasOwn(messages[type!]!, field!)) {
      test(`${file}: the field of a fork is read if its layers run; the fork's other additions are refused`, () => {
        try {
          parseMessage(typeOf[kind], text, { file });
        } catch (error) {
          assert.match((error as PrototxtError).code, /^prototxt\/fork-(field|enum)$/);
        }
      });
      continue;
    }
    test(`${file} is refused for the field that BVLC's protobuf reports, with its fork`, () => {
      const { code, message } = refusal(typeOf[kind], text);
      assert.is(code, 'prototxt/fork-field');
      assert.ok(message.includes(`: ${type} has no field "${field}": it belongs to `), message);
    });
  }
}

test.run();
