/** The CUDA device, on the emulated runtime: memory, order, graphs, errors. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Device, DeviceError, devices, type NetParameter, openDevice } from '../../ts/index.ts';
import { testBuffers } from '../support/buffer-cases.ts';
import { emulatedBuild, openEmulated } from '../support/emulated.ts';
import { repositoryFolder } from '../support/golden.ts';
import { testImageBytes } from '../support/image-bytes-cases.ts';

// Looked up once per process.
process.env.RESNODE_CUDNN = '/nowhere/libcudnn.so.9';

const fashion = join(repositoryFolder, 'examples/fashion');
const files = { model: join(fashion, 'deploy.prototxt'), weights: join(fashion, 'model.caffemodel') };
const pixels = (seed: number) =>
  Float32Array.from({ length: 784 }, (_, i) => ((i * 7919 + seed * 31) % 256) - 73);

async function outcome(promise: Promise<unknown>): Promise<DeviceError> {
  return promise.then(
    () => assert.unreachable('it was expected to fail') as never,
    (error: DeviceError) => error,
  );
}

/** Sets environment variables for a test; the emulated runtime reads them when it needs them. */
async function within(variables: Record<string, string>, work: () => Promise<void>): Promise<void> {
  Object.assign(process.env, variables);
  try {
    await work();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
  }
}

const library = emulatedBuild('resnode_cuda');
const open = async (options = {}, kind: 'cuda' | `cuda:${number}` = 'cuda') =>
  (await openEmulated(options, kind)) as Device;

const emulated = (name: string, work: () => Promise<void>) => {
  if (library !== null) test(name, work);
};

/** Waits for objects that earlier tests disposed, because their devices' threads free them slightly later. */
async function untilGpuIsEmpty(device: Device): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    const { free, total } = device.memory().driver!;
    if (free === total) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.unreachable(`the emulated GPU still holds memory: ${JSON.stringify(device.memory())}`);
}

/** The device's thread frees disposed buffers in turn. */
async function untilBuffersAreFree(device: Device): Promise<void> {
  for (let tries = 0; tries < 400 && device.memory().buffers > 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.is(device.memory().buffers, 0);
}

/** Two inner products and a softmax with a loss: row-major tensors only. */
const lossNet: NetParameter = {
  name: 'losses',
  layer: [
    { name: 'data', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [2, 3] }] } },
    { name: 'label', type: 'Input', top: ['label'], input_param: { shape: [{ dim: [2] }] } },
    { name: 'loss', type: 'SoftmaxWithLoss', bottom: ['data', 'label'], top: ['loss'] },
  ],
};

emulated('the plan states what the device holds, and what the driver reports as used', async () => {
  await using device = await open();
  const before = device.memory();
  assert.is(before.total, 0);
  const model = await device.load({ ...files, batch: 2, precision: 'float16' });
  const plan = model.plan();
  const memory = device.memory();
  assert.is(memory.parameters, plan.parameterBytes);
  assert.is(memory.activations, plan.arenaBytes);
  assert.is(before.driver!.free - memory.driver!.free, memory.total);
  using buffer = await device.buffer({ shape: [1000] });
  assert.is(before.driver!.free - device.memory().driver!.free, memory.total + buffer.bytes);
  assert.equal(await device.plan({ model: files.model, batch: 2, precision: 'float16' }), plan);
  // Half the bytes per value, plus conversions that float32 also needs.
  const whole = await device.plan({ model: files.model, batch: 2 });
  assert.ok(plan.parameterBytes < 0.52 * whole.parameterBytes);
  model.dispose();
  buffer.dispose();
  await device.buffer({ shape: [1] }).then((last) => last.dispose());
  await device.buffer({ shape: [1] }).then((last) => last.dispose());
  assert.is(device.memory().total, 0);
});

emulated('runs from the graph give the same bits as the first, which is launched step by step', async () => {
  for (const streams of ['eager', 'lazy']) {
    await within({ RESNODE_EMULATED_STREAMS: streams }, async () => {
      await using device = await open();
      for (const precision of ['float32', 'bfloat16'] as const) {
        await using model = await device.load({ ...files, precision });
        const direct = (await model.run({ data: pixels(0) })).prob!.data;
        const other = (await model.run({ data: pixels(1) })).prob!.data;
        assert.not.equal(other, direct);
        assert.equal((await model.run({ data: pixels(0) })).prob!.data, direct);
        assert.is((await model.time({ data: pixels(0) })).length, model.plan().operations.length);
        assert.equal((await model.run({ data: pixels(1) })).prob!.data, other);
        // uint8 is converted to the same numbers before the same graph.
        const bytes = Uint8Array.from(pixels(2), (value) => value + 73);
        const converted = (await model.run({ data: Float32Array.from(bytes) })).prob!.data;
        for (let i = 0; i < 3; i++) assert.equal((await model.run({ data: bytes })).prob!.data, converted);
      }
    });
  }
});

for (const streams of ['lazy', 'uneven'])
  emulated(`runs that are called at once keep their order and their inputs (${streams})`, async () => {
    await within({ RESNODE_EMULATED_STREAMS: streams }, async () => {
      await using device = await open();
      await using model = await device.load(files);
      const expected = [];
      for (let i = 0; i < 6; i++) expected.push((await model.run({ data: pixels(i) })).prob!.data);
      const order: number[] = [];
      const runs = expected.map(async (_, i) => {
        const { prob } = await model.run({ data: pixels(i) });
        order.push(i);
        return prob!.data;
      });
      assert.equal(await Promise.all(runs), expected);
      assert.equal(order, [0, 1, 2, 3, 4, 5]);
    });
  });

emulated('a run that is called while another is in flight has its own pinned memory', async () => {
  await within({ RESNODE_EMULATED_STREAMS: 'lazy' }, async () => {
    await using device = await open();
    await using model = await device.load(files);
    assert.is(device.memory().pinned, 0);
    const expected = (await model.run({ data: pixels(0) })).prob!.data;
    const { pinned } = device.memory();
    assert.ok(pinned > 0);
    await model.run({ data: pixels(1) });
    assert.is(device.memory().pinned, pinned, 'one after the other they need one slot');
    // The first run is not complete before the second was called.
    await within({ RESNODE_EMULATED_PATIENCE: '20000' }, async () => {
      const [first, second] = await Promise.all([
        model.run({ data: pixels(0) }),
        model.run({ data: pixels(0) }),
      ]);
      assert.equal([first.prob!.data, second.prob!.data], [expected, expected]);
    });
    assert.is(device.memory().pinned, 2 * pinned);
  });
});

emulated('pinned memory equals what the caller passes and receives, none for buffers', async () => {
  await within({ RESNODE_EMULATED_STREAMS: 'lazy' }, async () => {
    await using device = await open();
    await using model = await device.load({ ...files, precision: 'float16' });
    const bytes = Uint8Array.from(pixels(2), (value) => value + 73);
    using given = await device.buffer({ shape: [1, 1, 28, 28] });
    using givenBytes = await device.buffer({ shape: [1, 1, 28, 28], dtype: 'uint8' });
    using taken = await device.buffer({ shape: [1, 10] });
    await given.upload(Float32Array.from(bytes));
    await givenBytes.upload(bytes);
    const outputs = { prob: taken };
    for (let i = 0; i < 3; i++) await model.run({ data: given }, { outputs });
    const fromBuffer = (await taken.download()) as Float32Array;
    await model.run({ data: givenBytes }, { outputs });
    assert.equal(await taken.download(), fromBuffer);
    assert.is(device.memory().pinned, 0);

    const aligned = (count: number) => 256 * Math.ceil(count / 256);
    assert.equal((await model.run({ data: bytes })).prob!.data, fromBuffer);
    assert.is(device.memory().pinned, aligned(784) + aligned(4 * 10));
    await model.run({ data: { shape: [1, 1, 28, 28], data: bytes, mean: [73] } });
    assert.is(device.memory().pinned, aligned(784) + aligned(4 * 10), 'images with a mean are bytes, too');
    assert.equal((await model.run({ data: Float32Array.from(bytes) })).prob!.data, fromBuffer);
    assert.is(device.memory().pinned, aligned(4 * 784) + aligned(4 * 10));
    assert.equal((await model.run({ data: bytes })).prob!.data, fromBuffer);
    assert.is(device.memory().pinned, aligned(4 * 784) + aligned(4 * 10), 'what was pinned is kept');
  });
});

emulated('the next run reads the buffer that a run writes, although both are in flight', async () => {
  await within({ RESNODE_EMULATED_STREAMS: 'lazy' }, async () => {
    await using device = await open();
    const relu = (name: string, scale: number): NetParameter => ({
      name,
      layer: [
        { name: 'in', type: 'Input', top: ['in'], input_param: { shape: [{ dim: [1, 100] }] } },
        { name: 'out', type: 'Power', bottom: ['in'], top: ['out'], power_param: { scale } },
      ],
    });
    await using double = await device.load({ model: relu('double', 2) });
    await using triple = await device.load({ model: relu('triple', 3) });
    using between = await device.buffer({ shape: [1, 100] });
    for (let i = 1; i <= 4; i++) {
      const first = double.run({ in: new Float32Array(100).fill(i) }, { outputs: { out: between } });
      const second = triple.run({ in: between });
      assert.equal(await first, {});
      assert.equal((await second).out!.data, new Float32Array(100).fill(6 * i));
    }
  });
});

emulated(
  'a lack of memory that is noticed late is reported with need and free memory, and the device stays usable',
  async () => {
    await within({ RESNODE_EMULATED_BYTES: String(8 << 20) }, async () => {
      await using device = await open();
      await untilGpuIsEmpty(device);
      await using model = await device.load(files);
      const late = /^Out of memory on cuda:0 \(Emulated GPU\): a buffer needs 5\.0 MiB, [0-2]\.\d MiB free$/;
      // Noticed before anything is queued, if the first buffer was allocated by the time of the second call.
      const early = /^Out of memory on cuda:0: needs 5\.0 MiB, [0-2]\.\d MiB free$/;
      const messages: string[] = [];
      // The scheduler decides which of the two it is: the device's thread must be busy with the runs until both are
      // queued.
      for (let tries = 0; tries < 50 && !messages.some((message) => late.test(message)); tries++) {
        const running = Promise.all(Array.from({ length: 30 }, () => model.run({ data: pixels(0) })));
        const [first, second] = await Promise.allSettled([
          device.buffer({ shape: [5 << 20], dtype: 'uint8' }),
          device.buffer({ shape: [5 << 20], dtype: 'uint8' }),
        ]);
        assert.is((await running).length, 30);
        assert.is(first!.status, 'fulfilled');
        (first as PromiseFulfilledResult<{ dispose(): void }>).value.dispose();
        const error = (second as PromiseRejectedResult).reason as DeviceError;
        assert.is(error.code, 'device/out-of-memory');
        assert.ok(late.test(error.message) || early.test(error.message), error.message);
        messages.push(error.message);
        await untilBuffersAreFree(device);
      }
      assert.ok(
        messages.some((message) => late.test(message)),
        messages.join('\n'),
      );
      assert.is((await model.run({ data: pixels(0) })).prob!.data.length, 10);
      // Noticed early: TypeScript's plan, with the largest batch that fits.
      const planned = await outcome(device.load({ ...files, batch: 1000 }));
      assert.is(planned.code, 'device/out-of-memory');
      assert.match(planned.message, /^Out of memory on cuda:0: needs .* MiB, .* free; batch \d+ fits$/);
    });
  },
);

emulated('an illegal access loses the device object, not the process, and another GPU opens', async () => {
  await within({ RESNODE_EMULATED_DEVICES: '3', RESNODE_EMULATED_STREAMS: 'lazy' }, async () => {
    const device = await open({}, 'cuda:2');
    const model = await device.load(files);
    await model.run({ data: pixels(0) });
    process.env.RESNODE_EMULATED_FAIL_LAUNCH = '5';
    const first = await outcome(model.run({ data: pixels(0) }));
    delete process.env.RESNODE_EMULATED_FAIL_LAUNCH;
    assert.is(first.code, 'device/lost');
    assert.is(first.device, 'cuda:2');
    assert.match(
      first.message,
      /cuda[A-Z]\w+\(.*\) failed on cuda:2 \(Emulated GPU\): an illegal memory access .*\(cudaErrorIllegalAddress, cuda\/\w+\.(cc|h|cu):\d+\)/,
    );
    const later = [model.run({ data: pixels(0) }), device.load(files), device.buffer({ shape: [1] })];
    for (const error of await Promise.all(later.map(outcome))) {
      assert.is(error.code, 'device/lost');
      assert.match(
        error.message,
        /^cuda:2 \(Emulated GPU\) was lost: .*illegal memory access.*Dispose this device/,
      );
    }
    assert.is(device.memory().driver, null);
    await using other = await open({}, 'cuda:1');
    await using working = await other.load(files);
    assert.is((await working.run({ data: pixels(0) })).prob!.data.length, 10);
    model.dispose();
    device.dispose();
    assert.is((await outcome(model.run({ data: pixels(0) }))).code, 'device/disposed');
    assert.is((await working.run({ data: pixels(0) })).prob!.data.length, 10);
  });
});

emulated('any error that ends the context loses the device object, with the cure', async () => {
  const newProcess = /Dispose this device; other GPUs can be opened, this one by a new process$/;
  const hardware = /nvidia-smi -q -d ECC.*NVRM: Xid/;
  const mps = /MPS server has ended this process's work.*nvidia-cuda-mps-control/;
  const bus = /no longer reaches the GPU.*after Xid 79 it has fallen off the bus/;
  const cures = {
    cudaErrorLaunchFailure: newProcess,
    cudaErrorTensorMemoryLeak: newProcess,
    cudaErrorECCUncorrectable: hardware,
    cudaErrorContained: hardware,
    cudaErrorMpsClientTerminated: mps,
    cudaErrorMpsRpcFailure: mps,
    cudaErrorUnknown: bus,
    cudaErrorNoDevice: bus,
    cudaErrorDevicesUnavailable: /Another process may use the GPU exclusively.*NVRM: Xid/,
  };
  // One emulated GPU for each, because a GPU that failed stays failed in this process.
  const names = Object.keys(cures) as (keyof typeof cures)[];
  const first = 10;
  await within({ RESNODE_EMULATED_DEVICES: String(first + names.length) }, async () => {
    for (const [i, name] of names.entries()) {
      const device = await open({}, `cuda:${first + i}`);
      const model = await device.load(files);
      // Numbers differ, because the emulator restarts its count when one changes.
      const failure = { RESNODE_EMULATED_FAILURE: name, RESNODE_EMULATED_FAIL_LAUNCH: String(3 + i) };
      await within(failure, async () => {
        const { code, message } = await outcome(model.run({ data: pixels(0) }));
        assert.is(code, 'device/lost', message);
        assert.match(message, `(${name}, cuda/`);
        if (cures[name] !== newProcess) assert.match(message, cures[name]);
      });
      model.dispose();
      const later = await outcome(device.buffer({ shape: [1] }));
      assert.is(later.code, 'device/lost');
      assert.match(later.message, cures[name]);
      assert.match(later.message, newProcess);
      device.dispose();
    }
  });
});

emulated('a GPU that cannot be reached is not opened, and the message contains the cure', async () => {
  await within({ RESNODE_EMULATED_UNREACHABLE: 'cudaErrorDevicesUnavailable' }, async () => {
    const { code, message } = await outcome(open());
    assert.is(code, 'device/unavailable');
    assert.match(message, /^cuda:0 \(Emulated GPU\) cannot be opened: .*compute mode.*after Xid 79/);
  });
  await within({ RESNODE_EMULATED_NO_DRIVER: 'cudaErrorUnknown' }, async () => {
    const { code, message } = await outcome(open());
    assert.is(code, 'device/unavailable');
    assert.match(
      message,
      /does not start; see nvidia-smi\. It says: unknown error \(cudaErrorUnknown\)\. .*Xid 79/,
    );
    assert.match(devices({ libraryFolder: dirname(library!) }).problem ?? '', 'does not start');
  });
  await within({ RESNODE_EMULATED_NO_DRIVER: 'cudaErrorNoDevice' }, async () => {
    const { code, message } = await outcome(open());
    assert.is(code, 'device/unavailable');
    assert.match(message, /shows no GPU: see nvidia-smi.*NVRM: Xid/);
  });
  for (const [name, cure] of [
    ['cudaErrorSystemNotReady', 'systemctl start nvidia-fabricmanager'],
    ['cudaErrorSystemDriverMismatch', 'restart the machine'],
    ['cudaErrorUnknown', 'modprobe nvidia-uvm'],
  ] as const)
    await within({ RESNODE_EMULATED_NO_DRIVER: name }, async () => {
      assert.match((await outcome(open())).message, cure);
    });
  for (const [name, reason] of [
    [
      'cudaErrorNoKernelImageForDevice',
      /no kernels for compute capability 7\.0: no kernel image .*7\.5 .*RESNODE_CUDA_ARCHITECTURES=native/,
    ],
    ['cudaErrorUnsupportedPtxVersion', /7\.0 that its driver can compile: .*Install a newer driver/],
  ] as const)
    await within({ RESNODE_EMULATED_NO_IMAGE: name, RESNODE_EMULATED_CAPABILITY: '70' }, async () => {
      const { code, message } = await outcome(open());
      assert.is(code, 'device/unavailable');
      assert.match(message, /^cuda:0 \(Emulated GPU\) cannot be opened: this build of resnode has /);
      assert.match(message, reason);
    });
  await using device = await open();
  await using model = await device.load(files);
  assert.is((await model.run({ data: pixels(0) })).prob!.data.length, 10);
});

emulated('an invalid label is reported with layer and position, and the next run is correct', async () => {
  await using device = await open();
  await using model = await device.load({ model: lossNet });
  const data = Float32Array.of(1, 2, 3, 3, 2, 1);
  const loss = (await model.run({ data, label: Float32Array.of(2, 0) })).loss!.data[0]!;
  for (let i = 0; i < 2; i++) {
    const error = await outcome(model.run({ data, label: Float32Array.of(2, 7) }));
    assert.is(error.code, 'label/invalid');
    assert.match(error.message, 'layer "loss": label or index number 1 is not an integer from 0 to 2');
    assert.is((await model.run({ data, label: Uint8Array.of(2, 0) })).loss!.data[0], loss);
  }
});

emulated('an abort drops a waiting run and the result of a launched one', async () => {
  await using device = await open();
  await using model = await device.load(files);
  const controller = new AbortController();
  const runs = [0, 1, 2].map((i) => model.run({ data: pixels(i) }, { signal: controller.signal }));
  controller.abort(new Error('enough'));
  for (const error of await Promise.all(runs.map(outcome))) assert.is(error.message, 'enough');
  assert.is((await model.run({ data: pixels(0) })).prob!.data.length, 10);
});

emulated('disposing while runs are in flight lets them finish', async () => {
  await within({ RESNODE_EMULATED_STREAMS: 'lazy' }, async () => {
    const device = await open();
    const model = await device.load(files);
    const expected = (await model.run({ data: pixels(0) })).prob!.data;
    const runs = [0, 0, 0].map(() => model.run({ data: pixels(0) }));
    model.dispose();
    device.dispose();
    for (const run of runs) assert.equal((await run).prob!.data, expected);
  });
});

emulated(
  'a classifier head runs in place of its softmax, and its feature map is kept until then',
  async () => {
    const layer = (name: string, type: string, bottom: string, rest: object) => ({
      name,
      type,
      bottom: [bottom],
      top: [name],
      ...rest,
    });
    const filled = { weight_filler: { type: 'xavier' } };
    const convolution = { convolution_param: { num_output: 16, kernel_size: [3], pad: [1], ...filled } };
    const net: NetParameter = {
      name: 'head',
      layer: [
        { name: 'data', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [2, 8, 6, 6] }] } },
        layer('map', 'Convolution', 'data', convolution),
        layer('pool', 'Pooling', 'map', { pooling_param: { pool: 'AVE', global_pooling: true } }),
        layer('fc', 'InnerProduct', 'pool', { inner_product_param: { num_output: 5, ...filled } }),
        layer('other', 'Convolution', 'data', convolution),
        layer('prob', 'Softmax', 'fc', {}),
      ],
    };
    const data = Float32Array.from({ length: 576 }, (_, i) => 3 * Math.sin(i));
    await using reference = await openDevice('reference');
    await using device = await open();
    for (const outputs of [
      ['prob', 'other'],
      ['prob', 'other', 'fc'],
      ['prob', 'other', 'fc', 'pool', 'map'],
    ]) {
      const results = [];
      for (const each of [reference, device]) {
        await using model = await each.load({ model: net, outputs });
        const fused = model
          .plan()
          .operations.some(({ implementation }) => implementation.startsWith('classifier head'));
        assert.is(fused, each === device && !outputs.includes('pool'));
        results.push(await model.run({ data }));
      }
      for (const name of outputs) {
        const [expected, actual] = results.map((each) => each[name]!.data) as [Float32Array, Float32Array];
        for (const [i, value] of expected.entries()) assert.ok(Math.abs(actual[i]! - value) < 1e-5, name);
      }
    }
  },
);

emulated('measuring chooses among implementations with the same result', async () => {
  await using device = await open();
  await using measured = await open({ tune: true, cacheFolder: join(dirname(library!), 'tuning') });
  const net: NetParameter = {
    name: 'one',
    layer: [
      { name: 'data', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [1, 8, 4, 4] }] } },
      {
        name: 'conv',
        type: 'Convolution',
        bottom: ['data'],
        top: ['conv'],
        convolution_param: { num_output: 8, kernel_size: [3], pad: [1], weight_filler: { type: 'xavier' } },
      },
    ],
  };
  const results = [];
  for (const each of [device, measured]) {
    await using model = await each.load({ model: net, precision: 'float16' });
    results.push(
      (await model.run({ data: Float32Array.from({ length: 128 }, (_, i) => Math.sin(i)) })).conv!.data,
    );
  }
  const [expected, actual] = results as [Float32Array, Float32Array];
  for (const [i, value] of expected.entries()) assert.ok(Math.abs(actual[i]! - value) < 1e-3);
  assert.ok(existsSync(join(dirname(library!), 'tuning')));
});

emulated('a GPU without memory for measurements names the option that needs none', async () => {
  await within({ RESNODE_EMULATED_BYTES: '2000000' }, async () => {
    await using device = await open({ tune: true, cacheFolder: join(dirname(library!), 'no-tuning') });
    const { code, message } = await outcome(device.load(files));
    assert.is(code, 'device/out-of-memory');
    assert.match(
      message,
      /convolution, float32 .* is run, and cuda:0 \(Emulated GPU\) lacks .*\(tune: false\)/,
    );
    await using model = await device.load({ ...files, tune: false });
    assert.is((await model.run({ data: pixels(0) })).prob!.data.length, 10);
  });
});

if (library !== null) testBuffers('cuda, emulated', open);
if (library !== null) testImageBytes('cuda, emulated', open, ['float32', 'tf32', 'float16', 'bfloat16']);

emulated('devices are listed with what the driver reports', async () => {
  await within({ RESNODE_EMULATED_DEVICES: '2' }, async () => {
    const list = devices({ libraryFolder: dirname(library!) });
    assert.equal(
      list.devices.map(({ device, name, computeCapability }) => [device, name, computeCapability]),
      [
        ['cuda:0', 'Emulated GPU', '9.0'],
        ['cuda:1', 'Emulated GPU', '9.0'],
      ],
    );
    assert.is(list.driver, list.runtime);
    const error = await outcome(open({}, 'cuda:2'));
    assert.is(error.code, 'device/unavailable');
    assert.match(error.message, 'There is no cuda:2: the driver shows 2 GPUs');
  });
});

emulated(
  'without cuDNN the device reports what was tried, how to install it and what runs without it',
  async () => {
    await within({ RESNODE_CUDNN: '/nowhere/libcudnn.so.9' }, async () => {
      const error = await outcome(open({ cudnn: true }));
      assert.is(error.code, 'device/unavailable');
      for (const part of ['/nowhere/libcudnn.so.9', 'pip install', "openDevice('cuda', { cudnn: false })"])
        assert.ok(error.message.includes(part), error.message);
    });
  },
);

const real = join(repositoryFolder, 'build/Release/libresnode_cuda.so');
if (!existsSync(real))
  console.log('skipped: the real CUDA library without a driver: it was not built (no nvcc)');
else if (devices().driver !== null)
  console.log('skipped: the real CUDA library without a driver: there is one');
else {
  test('without a driver the CUDA device reports what was looked for and what to do, and auto takes the CPU', async () => {
    const error = await outcome(openDevice('cuda'));
    assert.instance(error, DeviceError);
    assert.is(error.code, 'device/unavailable');
    assert.match(
      error.message,
      /no NVIDIA driver was found \(the loader has no libcuda\.so\.1\)\. Install an NVIDIA driver for CUDA \d+\.\d/,
    );
    const list = devices();
    assert.equal(list.devices, []);
    assert.match(list.problem ?? '', 'no NVIDIA driver was found');
    await using device = await openDevice();
    assert.is(device.kind, 'cpu');
    assert.match(
      device.reason,
      /^no CUDA device: .*no NVIDIA driver was found|^this machine has no NVIDIA GPU$/,
    );
  });
}

test.run();
