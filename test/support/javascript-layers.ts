/** Layers in JavaScript, and their properties on every device. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ResnodeError } from '../../ts/base/errors.ts';
import { type Device, type JavaScriptLayer, readNet, registerLayers } from '../../ts/index.ts';
import { checkGradients } from './gradient-check.ts';

export const square: JavaScriptLayer = {
  shapes: ({ bottoms }) => bottoms,
  forward: ([x]) => [x!.data.map((value) => value * value)],
  backward: ({ bottoms: [x], topDiffs: [dy] }) => [x!.data.map((value, i) => 2 * value * dy!.data[i]!)],
};
export const python = (name: string, bottom: string, top: string, layer: string, param = '') =>
  `layer { name: "${name}" type: "Python" ${bottom === '' ? '' : `bottom: "${bottom}"`} top: "${top}"
     python_param { module: "my_layers" layer: "${layer}" param_str: "${param}" } }`;
const data =
  'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }' +
  'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }';
export const text = `${data}${python('square', 'ip', 'square', 'Square')}
  layer { name: "ip2" type: "InnerProduct" bottom: "square" top: "out" inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }`;
export const net = (more = text) => readNet(more, { file: 'net.prototxt' });

export async function withLayers<T>(
  layers: Record<string, JavaScriptLayer>,
  work: () => Promise<T>,
): Promise<T> {
  const remove = registerLayers(layers);
  try {
    return await work();
  } finally {
    remove();
  }
}
export const refusal = (work: Promise<unknown>): Promise<ResnodeError> =>
  work.then(
    () => assert.unreachable('it was accepted') as never,
    (error) => error,
  );

/** Registers the tests of a device. */
export function testJavaScriptLayers(device: Device): void {
  test(`${device.kind}: a function computes the same as Power, forward and backward, run after run`, () =>
    withLayers({ 'my_layers.Square': square }, async () => {
      const power = text.replace(
        /layer \{ name: "square"[^}]*\} \}/,
        'layer { name: "square" type: "Power" bottom: "ip" top: "square" power_param { power: 2 } }',
      );
      const results = [];
      for (const model of [net(), net(power)]) {
        using trainer = await device.train({ model, update: null, diffs: ['ip'] });
        for (let run = 0; run < 3; run++) {
          const inputs = { data: Float32Array.from({ length: 6 }, (_, i) => i / 4 - run) };
          const { outputs, blobs, parameters } = await trainer.gradients(inputs, {
            topDiffs: { out: Float32Array.of(1, -1, 2, 0.5) },
          });
          results.push([
            ...outputs.out!.data,
            ...blobs.ip!.data,
            ...parameters.flatMap((each) => [...each!.data]),
          ]);
        }
      }
      const [own, caffe] = [results.slice(0, 3).flat(), results.slice(3).flat()];
      assert.is(own.length, caffe.length);
      own.forEach((value, i) => {
        assert.ok(
          Math.abs(value - caffe[i]!) <= 1e-5 * Math.max(1, Math.abs(caffe[i]!)),
          `${value} ${caffe[i]}`,
        );
      });
    }));

  test(`${device.kind}: the gradient of a function agrees with central differences`, () =>
    withLayers({ Square: square }, async () => {
      const { compared } = await checkGradients(device, { net: text, seed: 7 });
      assert.ok(compared > 10);
    }));

  test(`${device.kind}: a function that throws, or returns too little, gives an error that names the layer`, async () => {
    const failing = (forward: JavaScriptLayer['forward']) =>
      withLayers({ 'my_layers.Square': { shapes: square.shapes, forward: forward! } }, async () => {
        using model = await device.load({ model: net() });
        const error = await refusal(model.run({ data: new Float32Array(6) }));
        assert.is(error.code, 'layer/failed');
        return error.message;
      });
    assert.match(
      await failing(() => {
        throw new Error('no such thing');
      }),
      /no such thing/,
    );
    assert.match(await failing(() => Promise.reject(new Error('later'))), /later/);
    assert.match(await failing(() => [new Float32Array(5)]), /6 values \(2×3\)/);
    assert.match(await failing(() => [] as never), /array of 1 Float32Arrays/);
  });
}
