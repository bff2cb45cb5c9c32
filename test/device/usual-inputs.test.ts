import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { UsualInputs } from '../../ts/device/usual-inputs.ts';

const usual = suite('usual inputs');
const loaded = { data: [1, 2, 3], scalar: [] };
const inputs = new UsualInputs(loaded);
const [data, scalar] = [new Float32Array(6), new Float32Array(1)];
const arraysOf = (given: object) => inputs.arrays(given as Parameters<typeof inputs.arrays>[0]);

usual('are float32 arrays of the loaded shapes, alone or as tensors', () => {
  assert.deepEqual(arraysOf({ scalar, data }), [data, scalar]);
  assert.deepEqual(arraysOf({ data: { shape: [1, 2, 3], data }, scalar: { shape: [], data: scalar } }), [
    data,
    scalar,
  ]);
});

usual('leave all other inputs to the full checks', () => {
  const shared = new Float32Array(new SharedArrayBuffer(24));
  const throwing = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('unreadable');
      },
      getOwnPropertyDescriptor: () => {
        throw new Error('unreadable');
      },
    },
  );
  const others: Record<string, object | null> = {
    'another batch size': { data: new Float32Array(12), scalar },
    'another shape': { data: { shape: [1, 3, 2], data }, scalar },
    'more dimensions': { data: { shape: [1, 1, 2, 3], data }, scalar },
    bytes: { data: new Uint8Array(6), scalar },
    'a mean': { data: { shape: [1, 2, 3], data, mean: [1] }, scalar },
    'a list of numbers': { data: [1, 2, 3, 4, 5, 6], scalar },
    'memory of several threads': { data: shared, scalar },
    'a missing input': { data },
    'an inherited input': Object.create({ data, scalar }) as object,
    'an unknown input': { data, scalar, label: scalar },
    'no object': null,
    'an object that throws': throwing,
  };
  for (const [what, given] of Object.entries(others)) assert.equal(arraysOf(given!), null, what);
});

usual.run();
