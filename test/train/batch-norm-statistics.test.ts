import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { toFloat32 } from '../../ts/caffe/blob.ts';
import type { DataSource } from '../../ts/data/source.ts';
import { GraphError, openDevice, readNet, type WeightsFile } from '../../ts/index.ts';
import { averageStatistics } from '../../ts/train/batch-norm-statistics.ts';

const NET = `
  name: "bn"
  layer { name: "in" type: "Data" top: "data" }
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
    convolution_param { num_output: 4 kernel_size: 3 bias_term: false weight_filler { type: "msra" } } }
  layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
  layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
  layer { name: "relu" type: "ReLU" bottom: "bn" top: "relu" }
  layer { name: "conv2" type: "Convolution" bottom: "relu" top: "conv2"
    convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "msra" } } }
  layer { name: "bn2" type: "BatchNorm" bottom: "conv2" top: "bn2" }`;
const SHAPE = [5, 2, 8, 8];
const net = readNet(NET, { file: 'bn.prototxt' });

function source(seed: number): DataSource {
  const random = seededRandom(seed);
  return {
    shapes: { data: SHAPE },
    epochSize: null,
    waited: 0,
    next: async () => ({ data: Float32Array.from({ length: 5 * 2 * 64 }, () => 3 * random() - 1) }),
    state: () => null,
    restore: () => {},
    dispose: async () => {},
  };
}
// Existing statistics must not count; `conv` keeps its filler, the same at every load.
const blob = (...values: number[]) => ({
  shape: [values.length],
  dtype: 'float32' as const,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const weights: WeightsFile = {
  file: 'bn.caffemodel',
  name: 'bn',
  layers: [
    { name: 'scale', type: 'Scale', blobs: [blob(1, 2, 0.5, 1.5), blob(0, 0.1, -0.2, 0.3)] },
    { name: 'bn', type: 'BatchNorm', blobs: [blob(9, 9, 9, 9), blob(7, 7, 7, 7), blob(99)] },
  ],
};
/** The file lacks layers, which keep their fillers. */
const match = { partialWeights: true };
const blobs = (file: WeightsFile, name: string) =>
  file.layers.find((layer) => layer.name === name)!.blobs.map((each) => [...toFloat32(each)]);
const largest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

for (const kind of ['reference', 'cpu'] as const) {
  test(`${kind}: mean and unbiased variance are those of the batches, averaged`, async () => {
    await using device = await openDevice(kind, { threads: 1 });
    const result = await averageStatistics({ net, weights, match, source: source(1), iterations: 3, device });
    assert.equal([result.layers, result.samples], [['bn', 'bn2'], 15]);
    await using model = await device.load({
      model: net,
      inputShapes: { data: SHAPE },
      ...match,
      weights,
      phase: 'TRAIN',
      outputs: ['conv'],
    });
    const batches = source(1);
    const [means, variances] = [new Float64Array(4), new Float64Array(4)];
    for (let i = 0; i < 3; i++) {
      const { data } = (await model.run(await batches.next())).conv!;
      for (let c = 0; c < 4; c++) {
        const values = Array.from(data).filter((_, j) => Math.floor(j / 36) % 4 === c);
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        means[c]! += mean / 3;
        variances[c]! +=
          values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1) / 3;
      }
    }
    const [mean, variance, factor] = blobs(result.weights, 'bn');
    assert.equal(factor, [1]);
    assert.ok(largest(mean!, means) < 2e-6, `${mean} ${means}`);
    assert.ok(largest(variance!, variances) < 2e-5, `${variance} ${variances}`);
    assert.is(blobs(result.weights, 'bn2')[0]!.length, 3, 'a layer that the file lacks is added');
    assert.equal(blobs(result.weights, 'scale'), blobs(weights, 'scale'));
  });

  test(`${kind}: with one batch, TEST gives the same as TRAIN, except for m/(m − 1)`, async () => {
    await using device = await openDevice(kind, { threads: 1 });
    const result = await averageStatistics({ net, weights, match, source: source(2), iterations: 1, device });
    const batch = await source(2).next();
    const run = async (phase: 'TRAIN' | 'TEST', output: string) => {
      const common = { model: net, inputShapes: { data: SHAPE }, phase, outputs: [output] };
      await using model = await device.load({ ...common, ...match, weights: result.weights });
      return (await model.run(batch))[output]!.data;
    };
    const m = 5 * 6 * 6;
    const [train, tested] = [await run('TRAIN', 'bn@bn'), await run('TEST', 'bn@bn')];
    const factor = Math.sqrt(m / (m - 1));
    assert.ok(
      largest(
        tested.map((value) => value * factor),
        train,
      ) < 2e-5,
    );
    assert.ok(largest(tested, train) > 1e-4, 'the factor shows');
    const far = largest(await run('TEST', 'bn2'), await run('TRAIN', 'bn2'));
    assert.ok(far < 5 / m, `two layers on it is ${far}`);
  });
}

test('nets without batch statistics are refused', async () => {
  await using device = await openDevice('reference');
  const frozen = readNet(
    NET.replaceAll('type: "BatchNorm"', 'type: "BatchNorm" batch_norm_param { use_global_stats: true }'),
    {
      file: 'frozen.prototxt',
    },
  );
  for (const [wrong, iterations, type] of [
    [frozen, 1, GraphError],
    [net, 0, Error],
  ] as const) {
    let error: unknown = null;
    await averageStatistics({ net: wrong, weights, source: source(1), iterations, device }).catch(
      (reason) => {
        error = reason;
      },
    );
    assert.instance(error, type);
  }
});

test.run();
