/** Fixed weights with a bias that learns: the gradient is a sum over dy only, whatever the layer reads. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { openDevice } from '../../ts/index.ts';
import { difference } from '../../ts/tools/parity/difference.ts';
import { randomInput } from '../../ts/tools/parity/random-input.ts';

const net = readNet(
  `name: "bias"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 8 dim: 8 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 0 } param { lr_mult: 2 }
  convolution_param { num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" param { lr_mult: 0 } param { lr_mult: 1 }
  inner_product_param { num_output: 5 weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`,
  { file: 'bias.prototxt' },
);

test("only the biases get diffs, and the CPU device's equal the reference's", async () => {
  const inputs = { data: randomInput([4, 3, 8, 8], 1), label: Float32Array.of(0, 1, 2, 4) };
  const found = await Promise.all(
    (['cpu', 'reference'] as const).map(async (kind) => {
      using device = await openDevice(kind, { threads: 2 });
      using trainer = await device.train({ model: net, update: null });
      return (await trainer.gradients(inputs)).parameters;
    }),
  );
  const [actual, expected] = found as [(typeof found)[0], (typeof found)[0]];
  assert.equal(
    expected.map((diff) => diff === null),
    [true, false, true, false],
  );
  for (const [i, diff] of expected.entries()) {
    assert.is(actual[i] === null, diff === null);
    if (diff !== null) assert.ok(difference(actual[i]!.data, diff.data, 1e-7).ok, `blob ${i}`);
  }
});

test.run();
