/** Training steps on the CPU's own tiles. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import { type Device, readNet } from '../../ts/index.ts';
import { openAllKernels } from '../support/open-kernels.ts';

const devices = await openAllKernels({ tune: false });
test.after(() => devices.forEach((device) => device.dispose()));

const model = readNet(
  `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 6 dim: 3 dim: 19 dim: 17 } } }
   layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 6 } } }
   layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 32 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
   layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" }
   layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
   layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
   layer { name: "m" type: "Pooling" bottom: "c" top: "m" pooling_param { kernel_size: 3 stride: 2 } }
   layer { name: "a" type: "Convolution" bottom: "m" top: "a" convolution_param { num_output: 32 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
   layer { name: "g" type: "Convolution" bottom: "a" top: "g" convolution_param { num_output: 32 kernel_size: 3 pad: 1 group: 8 weight_filler { type: "msra" } } }
   layer { name: "e" type: "Eltwise" bottom: "m" bottom: "g" top: "e" }
   layer { name: "v" type: "Pooling" bottom: "e" top: "v" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
   layer { name: "f" type: "InnerProduct" bottom: "v" top: "f" inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
   layer { name: "loss" type: "SoftmaxWithLoss" bottom: "f" bottom: "label" top: "loss" }`,
  { file: 'net.prototxt' },
);
const data = Float32Array.from({ length: 6 * 3 * 19 * 17 }, (_, i) => Math.sin(i * i));
const label = Float32Array.from({ length: 6 }, (_, i) => i);

async function learn(device: Device): Promise<Float32Array[]> {
  using trainer = await device.train({
    model,
    update: SGD_UPDATE,
  });
  for (let iteration = 0; iteration < 3; iteration++)
    await trainer.step({ data, label }, { iteration, rate: 0.05 });
  return (await trainer.weights()).layers.flatMap(({ blobs }) => blobs.map(toFloat32));
}

test('a few training steps give the same bits on every instruction set and number of threads', async () => {
  const learned: Float32Array[][] = [];
  for (const device of devices) learned.push(await learn(device));
  assert.ok(learned[0]!.length > 8 && learned[0]!.every((blob) => blob.every(Number.isFinite)));
  for (const each of learned) assert.equal(each, learned[0]);
});

test.run();
