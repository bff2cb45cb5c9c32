/** The behaviour of a DeviceBuffer on every device. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, type Device, type DeviceError, openDevice } from '../../ts/index.ts';
import { repositoryFolder } from './golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const files = { model: join(fashion, 'deploy.prototxt'), weights: join(fashion, 'model.caffemodel') };
const pixels = (images: number) => Uint8Array.from({ length: 784 * images }, (_, i) => (i * 7919) % 256);

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  );
}

export function testBuffers(name: string, open: () => Promise<Device>): void {
  test(`${name}: a buffer starts as zeros or with given values, and is read as it was written`, async () => {
    await using device = await open();
    using zeros = await device.buffer({ shape: [2, 3] });
    assert.equal(await zeros.download(), new Float32Array(6));
    assert.equal([zeros.shape, zeros.dtype, zeros.bytes], [[2, 3], 'float32', 24]);
    await zeros.upload(Float32Array.of(1, 2), { offset: 8 });
    assert.equal(await zeros.download(), Float32Array.of(0, 0, 1, 2, 0, 0));
    using given = await device.buffer(Uint8Array.of(1, 2, 3));
    assert.equal(await given.download(), Uint8Array.of(1, 2, 3));
    await given.fill(7);
    assert.equal(await given.download(), Uint8Array.of(7, 7, 7));
    using other = await device.buffer({ shape: [6] });
    await other.copy(zeros);
    assert.equal(await other.download(), Float32Array.of(0, 0, 1, 2, 0, 0));
    // Larger than the pieces of a GPU's transfers, and not a multiple of them.
    const large = Uint8Array.from({ length: (9 << 20) + 13 }, (_, i) => (i * 31) >> 3);
    using long = await device.buffer(large);
    assert.ok(Buffer.compare(large, (await long.download()) as Uint8Array) === 0);
  });

  test(`${name}: sources are copied at the call, and calls take effect in order`, async () => {
    await using device = await open();
    using buffer = await device.buffer({ shape: [4], dtype: 'uint8' });
    const source = Uint8Array.of(1, 2, 3, 4);
    const first = buffer.upload(source);
    source.fill(9);
    const [, before, , after] = await Promise.all([
      first,
      buffer.download(),
      buffer.fill(5),
      buffer.download(),
    ]);
    assert.equal(before, Uint8Array.of(1, 2, 3, 4));
    assert.equal(after, Uint8Array.of(5, 5, 5, 5));
  });

  test(`${name}: a model reads and writes buffers, and gives the same as with arrays`, async () => {
    await using device = await open();
    await using model = await device.load({ ...files, batch: 2 });
    const expected = (await model.run({ data: pixels(2) })).prob!.data;
    using data = await device.buffer(pixels(2));
    using prob = await device.buffer({ shape: [2, 10] });
    assert.equal(await model.run({ data }, { outputs: { prob } }), {});
    assert.equal(await prob.download(), expected);
    // Another batch size, which follows from the buffer's own shape or its length.
    using shaped = await device.buffer({ shape: [1, 1, 28, 28], dtype: 'uint8' });
    await shaped.upload(pixels(1));
    const alone = (await model.run({ data: shaped })).prob!;
    assert.equal(alone.shape, [1, 10]);
    using short = await device.buffer(pixels(1));
    assert.equal((await model.run({ data: short })).prob!.data, alone.data);
    // An output buffer that is another model's input must not be read before it is written.
    const runs = [];
    for (const image of [pixels(2), pixels(2).fill(0)]) {
      const uploaded = data.upload(image);
      runs.push(uploaded, model.run({ data }, { outputs: { prob } }), prob.download());
    }
    const results = await Promise.all(runs);
    assert.equal(results[2], expected);
    assert.not.equal(results[5], expected);
  });

  test(`${name}: buffers count until they are disposed, and using them afterwards is refused`, async () => {
    await using device = await open();
    const buffer = await device.buffer({ shape: [1000] });
    assert.is(device.memory().buffers, 4000);
    assert.is(device.memory().total, 4000);
    buffer.dispose();
    buffer.dispose();
    assert.is(device.memory().buffers, 0);
    assert.is(((await outcome(buffer.download())) as DeviceError).code, 'device/disposed');
  });

  test(`${name}: misuse is refused by name`, async () => {
    await using device = await open();
    await using model = await device.load(files);
    using buffer = await device.buffer({ shape: [10] });
    await using other = await openDevice('reference');
    using foreign = await other.buffer({ shape: [10] });
    for (const wrong of [
      device.buffer({ shape: [-1] }),
      device.buffer({ shape: [2], dtype: 'float64' as 'float32' }),
      buffer.upload(new Float32Array(11)),
      buffer.upload(new Float32Array(1), { offset: 38 }),
      buffer.fill(256),
      model.run({ data: buffer }),
      model.run({ data: pixels(1) }, { outputs: { score: buffer } }),
      model.run({ data: pixels(2) }, { outputs: { prob: buffer } }),
    ])
      assert.instance(await outcome(wrong), ArgumentError);
    using foreignImage = await other.buffer(pixels(1));
    for (const [wrong, name] of [
      [buffer.copy(foreign), 'source'],
      [model.run({ data: foreignImage }), 'input "data"'],
      [model.run({ data: pixels(1) }, { outputs: { prob: foreign } }), 'output "prob"'],
    ] as const) {
      const error = (await outcome(wrong)) as DeviceError;
      assert.is(error.code, 'argument/invalid');
      assert.match(
        error.message,
        `Expected a buffer of this device for ${name}, found one of another device: give the values that its download() returns`,
      );
    }
  });
}
