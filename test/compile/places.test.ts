/** Native code refuses a program if a gradient or an update lacks an input or output. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Program, ProgramOperation } from '../../ts/operations/program.ts';
import { openNative } from '../support/run-program.ts';

const device = openNative('reference');
const relu: ProgramOperation = { kind: 'relu', negativeSlope: 0, layer: 'relu', inputs: [0], outputs: [1] };
const program = (...operations: ProgramOperation[]): Program => ({
  name: 'net',
  tensors: ['x', 'y', 'dy', 'dx', 'schedule'].map((name) => ({
    name,
    shape: [name === 'schedule' ? 5 : 4],
  })),
  parameters: [{ name: 'w', shape: [4], mutable: true }],
  operations: [relu, ...operations],
  inputs: [0, 2, 4],
  outputs: [1],
});
const refusal = async (operation: ProgramOperation): Promise<string> => {
  try {
    const options = { precision: 'float32', deterministic: false, tune: false, quantization: null } as const;
    await device.prepare(program(operation), options);
  } catch (error) {
    assert.is((error as { code?: string }).code, 'program/invalid');
    return (error as Error).message;
  }
  return 'accepted';
};
const gradient = { kind: 'gradient', layer: 'relu', of: 0, inputs: [-1, 1, 2], outputs: [3] } as const;
const update = {
  kind: 'update',
  rule: 'adam',
  momentum: 0.9,
  momentum2: 0.999,
  delta: 1e-8,
  rmsDecay: 0,
  clipGradients: null,
  iterSize: 1,
  dampened: false,
  trust: 0.001,
  averageDecay: 0,
  weightDecay: 0,
  regularization: 'L2',
  layer: 'update',
  parameters: [{ parameter: 0, history: [0, 0], accumulator: null, average: null, lrMult: 1, decayMult: 1 }],
  inputs: [4, -1],
  outputs: [],
} as const;

test('a valid program is accepted', async () => {
  assert.is(await refusal(gradient), 'accepted');
  assert.is(await refusal(update), 'accepted');
});

test('missing inputs and outputs, and invalid ids, are refused', async () => {
  assert.match(await refusal({ ...gradient, inputs: [-1, 1] }), /has 2 inputs, must have 3/);
  assert.match(await refusal({ ...gradient, outputs: [] }), /has 0 outputs, must have 1/);
  assert.match(await refusal({ ...gradient, of: 1 }), /of is 1, must be from 0 to below 1/);
  assert.match(await refusal({ ...gradient, inputs: [-2, 1, 2] }), /tensor -2 does not exist/);
  assert.match(await refusal({ ...update, inputs: [4] }), /has 1 inputs, must have 2 or more/);
  assert.match(await refusal({ ...update, inputs: [-1, -1] }), /the schedule and the losses must be given/);
  const [parameter] = update.parameters;
  assert.match(
    await refusal({ ...update, parameters: [{ ...parameter, history: [0] }] }),
    /history must have one parameter, or two for adam/,
  );
});

test.after(() => device.dispose());
test.run();
