/** ConvLSTM against its equations in float64 (arXiv:1506.04214, equation 3), with the cells before the step in all gates. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount, type Shape } from '../../ts/base/shape.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { checkGradients } from '../support/gradient-check.ts';
import { assertRefused, draw, input, net } from '../support/net-text.ts';
import { openPlainDevices } from '../support/plain-devices.ts';

const devices = await openPlainDevices();

const [T, N, C, H, W, D] = [3, 2, 2, 3, 4, 2];
const STATE = [1, N, D, H, W];
const PLANE = H * W;

interface Case {
  readonly exposed?: boolean;
  readonly conv?: string;
  readonly debug?: string;
}
const text = ({ exposed = false, conv = 'kernel_size: 3 pad: 1', debug = '' }: Case) => `
  ${input('x', [T, N, C, H, W])}${input('label_cont', [T, N])}
  ${exposed ? input('h0', STATE) + input('c0', STATE) : ''}
  layer { name: "l" type: "ConvLSTM" bottom: "x" bottom: "label_cont"
    ${exposed ? 'bottom: "h0" bottom: "c0" top: "y" top: "h" top: "c"' : 'top: "y"'}
    recurrent_param { expose_hidden: ${exposed} }
    lstm_debug_param { ${debug} }
    lstm_conv_param { num_output: ${D} ${conv} weight_filler { type: "xavier" } } }`;

const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));

/** Convolves planes of one item: 4·D channels, 3×3 taps `apart` pixels from one another. */
function convolved(x: ArrayLike<number>, depth: number, weights: ArrayLike<number>, apart: number) {
  const at = (channel: number, row: number, column: number) =>
    row < 0 || row >= H || column < 0 || column >= W ? 0 : x[(channel * H + row) * W + column]!;
  return Float64Array.from({ length: 4 * D * PLANE }, (_, i) => {
    const [out, row, column] = [Math.floor(i / PLANE), Math.floor(i / W) % H, i % W];
    let sum = 0;
    for (let k = 0; k < depth * 9; k++) {
      const [channel, down, right] = [Math.floor(k / 9), Math.floor(k / 3) % 3, k % 3];
      sum +=
        weights[out * depth * 9 + k]! * at(channel, row + apart * (down - 1), column + apart * (right - 1));
    }
    return sum;
  });
}

interface Given {
  readonly x: Float32Array;
  readonly cont: Float32Array;
  readonly h0: ArrayLike<number>;
  readonly c0: ArrayLike<number>;
  readonly blobs: readonly Float32Array[];
}

/** The tops y, h and c. */
function expected({ x, cont, h0, c0, blobs }: Given, apart: number, seen = true): number[][] {
  const [ofX, ofH, bias, ...views] = blobs as [Float32Array, Float32Array, Float32Array, ...Float32Array[]];
  const size = D * PLANE;
  const [h, c] = [h0, c0].map((state) => Float64Array.from(state)) as [Float64Array, Float64Array];
  const y: number[] = [];
  for (let t = 0; t < T; t++) {
    for (let n = 0; n < N; n++) {
      const goes = cont[t * N + n]!;
      const item = x.slice((t * N + n) * C * PLANE, (t * N + n + 1) * C * PLANE);
      const before = [...h.slice(n * size, (n + 1) * size)].map((value) => goes * value);
      const fromX = convolved(item, C, ofX, apart);
      const fromH = convolved(before, D, ofH, apart);
      for (let d = 0; d < size; d++) {
        const cell = c[n * size + d]!;
        const [i, f, o, g] = [0, 1, 2, 3].map((gate) => {
          const view = seen && gate < 3 ? views[gate]![d % PLANE]! * cell : 0;
          return (
            fromX[gate * size + d]! + fromH[gate * size + d]! + bias[gate * D + Math.floor(d / PLANE)]! + view
          );
        }) as [number, number, number, number];
        c[n * size + d] = goes * sigmoid(f) * cell + sigmoid(i) * Math.tanh(g);
        h[n * size + d] = sigmoid(o) * Math.tanh(c[n * size + d]!);
      }
    }
    y.push(...h);
  }
  return [y, [...h], [...c]];
}

/** Weights in the order of the fork's unrolled net: of x, of h, the bias, and the views of the gates i, f and o. */
const SHAPES: readonly Shape[] = [[4 * D, C, 3, 3], [4 * D, D, 3, 3], [4 * D], [H, W], [H, W], [H, W]];
const BLOBS = SHAPES.map((shape, i) => draw(elementCount(shape), 10 + i, -0.7, 0.7));
const weightsOf = (count: number) => ({
  file: 'weights',
  name: 'net',
  layers: [
    {
      name: 'l',
      type: 'ConvLSTM',
      blobs: BLOBS.slice(0, count).map((values, i) => blobFromFloats(SHAPES[i]!, values)),
    },
  ],
});
const x = draw(T * N * C * PLANE, 1);
const cont = Float32Array.of(1, 0, 1, 1, 0, 1);

const near = (found: ArrayLike<number>, wanted: readonly number[]) => {
  assert.is(found.length, wanted.length);
  wanted.forEach((value, i) => assert.ok(Math.abs(found[i]! - value) < 3e-6, `${i}: ${found[i]}, ${value}`));
};

for (const device of devices) {
  for (const [name, conv, apart] of [
    ['3×3', 'kernel_size: 3 pad: 1', 1],
    ['dilated', 'kernel_size: 3 pad: 2 dilation: 2', 2],
  ] as const)
    test(`exposed states and ${name} convolutions follow the equations, on ${device.kind}`, async () => {
      const [h0, c0] = [draw(elementCount(STATE), 2), draw(elementCount(STATE), 3)];
      using model = await device.load({ model: net(text({ exposed: true, conv })), weights: weightsOf(6) });
      const tops = await model.run({ x, label_cont: cont, h0, c0 });
      const [y, h, c] = expected({ x, cont, h0, c0, blobs: BLOBS }, apart) as [number[], number[], number[]];
      near(tops.y!.data, y);
      near(tops.h!.data, h);
      near(tops.c!.data, c);
    });

  test(`without expose_hidden the state goes on in the next run, on ${device.kind}`, async () => {
    using model = await device.load({
      model: net(text({ debug: 'disable_hadamard: true' })),
      weights: weightsOf(3),
    });
    const zeros = new Float64Array(elementCount(STATE));
    let state = { h0: zeros as ArrayLike<number>, c0: zeros as ArrayLike<number> };
    for (let run = 0; run < 2; run++) {
      const { y } = await model.run({ x, label_cont: cont });
      const [all, h0, c0] = expected({ x, cont, ...state, blobs: BLOBS }, 1, false) as [
        number[],
        number[],
        number[],
      ];
      near(y!.data, all);
      state = { h0, c0 };
    }
  });

  test(`diffs reach the weights, x and the exposed states, on ${device.kind}`, async () => {
    const fill = (name: string, count: number) =>
      name === 'label_cont' ? cont : draw(count, name.charCodeAt(0));
    const { compared } = await checkGradients(device, { net: text({ exposed: true }), fill, seed: 1 });
    assert.ok(compared >= 12, `${compared}`);
  });
}

test('shapes and settings that the fork does not take are refused', () => {
  const refused = (given: Case, said: RegExp) => assertRefused(net(text(given)), said);
  refused({ conv: 'kernel_size: 3' }, /must keep the size of their planes, 3×4/);
  refused({ conv: 'kernel_size: 1 group: 3' }, /group 3 must divide/);
  refused({ debug: 'ignore_x: true' }, /ignore_x of lstm_debug_param is not supported/);
  refused({ debug: 'axis_hadamard: 4' }, /must lie within the state/);
  const swapped = text({ exposed: true }).replace('bottom: "h0" bottom: "c0"', 'bottom: "x" bottom: "c0"');
  assertRefused(net(swapped), /the initial state must be 1×2×2×3×4, found 3×2×2×3×4/);
  assertRefused(
    net(text({ exposed: true }).replace('top: "h" top: "c"', '')),
    /takes 3 tops with expose_hidden/,
  );
  assert.equal(
    graphFromCaffe(net(text({}))).parameters.map(({ shape }) => shape),
    SHAPES,
  );
});

test.run();
