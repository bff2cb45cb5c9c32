/** A net with a function that never answers; its thread is to be terminated. */
import { parentPort } from 'node:worker_threads';
import { openDevice, readNet, registerLayers } from '../../../ts/index.ts';

registerLayers({
  Never: {
    shapes: ({ bottoms }) => bottoms,
    forward: () => {
      parentPort!.postMessage('called');
      return new Promise(() => {});
    },
  },
});
const device = await openDevice('reference');
const model = await device.load({
  model: readNet(
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 } } }
     layer { name: "never" type: "Python" bottom: "data" top: "never" python_param { module: "m" layer: "Never" } }`,
    { file: 'net.prototxt' },
  ),
});
await model.run({ data: Float32Array.of(1) });
