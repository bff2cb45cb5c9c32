/**
 * Every recorded forward and backward pass with convolutions through cuDNN's graph API, on a fake cuDNN that computes
 * graphs by naive loops (test/cuda/host/libraries). It computes immediately, so streams are eager and nothing is
 * replayed.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import { type DeviceError, readNet, resnet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { testGoldenCases, testTrainingCases } from '../support/golden-cases.ts';
import { smallTrainingNet } from '../support/small-training-net.ts';
import { useStandInCudnn } from '../support/stand-in-cudnn.ts';

if (useStandInCudnn()) {
  const device = await openEmulated({ cudnn: true });
  testGoldenCases(device!);
  testTrainingCases(device!, ['layers', 'mini-resnet']);
  testTrainingCases(device!, ['layers2'], /^deconv/);

  test('a cuDNN that does not start is named with the reason, the command and what works without it', async () => {
    process.env.RESNODE_FAKE_CUDNN_REFUSES = '1';
    try {
      await openEmulated({ cudnn: true });
      assert.unreachable();
    } catch (error) {
      const { code, message } = error as DeviceError;
      assert.is(code, 'device/unavailable');
      for (const part of [
        'cuDNN does not start on cuda:0 (Emulated GPU): cuDNN 9.24.0: cudnnCreate: CUDNN_STATUS_BAD_PARAM (the GPU is too old). It is 9.24.0 (/',
        '/libcudnn.so.9',
        'pip install nvidia-cudnn-cu13',
        "openDevice('cuda', { cudnn: false })",
      ])
        assert.ok(message.includes(part), message);
    } finally {
      delete process.env.RESNODE_FAKE_CUDNN_REFUSES;
    }
  });

  test('cuDNN computes the convolutions', async () => {
    assert.match(String(device!.description.cuDNN), /^9\.24\.0 \(.*fake-cudnn/);
    for (const precision of ['float32', 'tf32', 'float16', 'bfloat16'] as const) {
      const { operations } = await device!.plan({ model: resnet({ depth: 50 }), batch: 1, precision });
      const convolutions = operations.filter(({ layer }) => /^conv1$|branch/.test(layer));
      assert.ok(convolutions.length > 50);
      for (const { layer, implementation } of convolutions)
        assert.match(implementation, /^cudnn/, `${precision} ${layer}`);
    }
  });

  test('cuDNN computes the gradients of convolutions', async () => {
    const { operations } = await device!.planTraining({ model: smallTrainingNet(2), update: SGD_UPDATE });
    const backward = operations.slice(operations.findIndex(({ layer }) => layer === 'loss') + 1);
    const gradients = backward.filter(({ layer }) => /^conv\d$/.test(layer));
    assert.is(gradients.length, 3);
    // The first one has no diff of its input, because nothing below it learns.
    for (const { layer, implementation } of gradients)
      assert.is([...implementation.matchAll(/cudnn-engine/g)].length, layer === 'conv1' ? 1 : 2);
  });

  test('cuDNN computes deconvolutions and their gradients, also in groups', async () => {
    const net = (group: number) =>
      readNet(
        `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 6 dim: 5 dim: 4 } } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 6 kernel_size: 1 } }
        layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up" convolution_param { num_output: 6 group: ${group} kernel_size: 4 stride: 2 pad: 1 } }`,
        { file: 'up.prototxt' },
      );
    for (const group of [1, 3, 6]) {
      const { operations } = await device!.planTraining({ model: net(group), update: null });
      const found = operations
        .filter(({ layer }) => layer === 'up')
        .map(({ implementation }) => [...implementation.matchAll(/cudnn-engine/g)].length);
      assert.equal(found, [1, 2], `${group} groups`);
    }
  });

  test.after(() => device?.dispose());
}

test.run();
