/** One signal for many runs. */
import { getEventListeners } from 'node:events';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { onAbort } from '../../ts/base/on-abort.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { openDevice } from '../../ts/device/device.ts';

test('callbacks of a signal are called once each, in order, and share one listener', () => {
  const controller = new AbortController();
  const called: number[] = [];
  for (let i = 0; i < 50; i++) onAbort(controller.signal, () => called.push(i));
  assert.is(getEventListeners(controller.signal, 'abort').length, 1);
  controller.abort();
  controller.abort();
  assert.equal(called, [...Array(50).keys()]);
});

test('a withdrawn callback is not called, even if another callback withdraws it, and the last one removes the listener', () => {
  const controller = new AbortController();
  const called: string[] = [];
  const same = () => called.push('same');
  const withdrawn = onAbort(controller.signal, same);
  onAbort(controller.signal, same);
  onAbort(controller.signal, () => later());
  const later = onAbort(controller.signal, () => called.push('later'));
  withdrawn();
  withdrawn();
  controller.abort();
  assert.equal(called, ['same']);

  const { signal } = new AbortController();
  const all = [1, 2, 3].map(() => onAbort(signal, () => {}));
  for (const withdraw of all) withdraw();
  assert.is(getEventListeners(signal, 'abort').length, 0);
});

test('a hundred runs with one signal cause no warning about a leak', async () => {
  const warnings: string[] = [];
  const hear = (warning: Error) => warnings.push(warning.name);
  process.on('warning', hear);
  using device = await openDevice('cpu', { threads: 1 });
  using model = await device.load({
    model: readNet(
      `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 } } }
      layer { name: "relu" type: "ReLU" bottom: "data" top: "relu" }`,
      { file: 'relu.prototxt' },
    ),
  });
  const { signal } = new AbortController();
  const data = new Float32Array(4);
  await Promise.all(Array.from({ length: 100 }, () => model.run({ data }, { signal })));
  await new Promise(setImmediate);
  process.off('warning', hear);
  assert.equal(warnings, []);
});

test.run();
