/** A net as a table: one row per layer, however it is implemented. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphFromCaffe, readNet, summarise } from '../../ts/index.ts';

const input = (name: string, ...shape: number[]) =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }`;
const rowsOf = (text: string) => {
  const { layers, parameters } = summarise(graphFromCaffe(readNet(text, { file: 'net.prototxt' })));
  return {
    rows: layers.map(({ layers: names, type, shape }) => [...names, type, shape.join('×')].join(' ')),
    layers,
    parameters,
  };
};

test('an unrolled LSTM is one row, whose weights count once', () => {
  const { rows, layers, parameters } = rowsOf(`${input('x', 5, 2, 3)}${input('cont', 5, 2)}
    layer { name: "lstm" type: "LSTM" bottom: "x" bottom: "cont" top: "h" recurrent_param { num_output: 4 } }`);
  assert.equal(rows, ['lstm LSTM 5×2×4']);
  // W_xc, b_c and W_hc for four gates.
  assert.is(layers[0]!.parameters, 4 * 4 * (3 + 1 + 4));
  assert.is(parameters, layers[0]!.parameters);
});

test('a convolution over one or three axes, and a correlation, are one row with the shape of their top', () => {
  for (const sizes of [[9], [4, 5, 6]]) {
    const { rows, layers } = rowsOf(`${input('x', 2, 3, ...sizes)}
      layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }`);
    assert.equal(rows, [`c Convolution 2×4×${sizes.join('×')}`]);
    assert.ok(layers[0]!.macs > 0);
  }
  const { rows } = rowsOf(`${input('x', 1, 3, 4, 8)}
    layer { name: "c" type: "Correlation1D" bottom: "x" bottom: "x" top: "c" correlation_param { pad: 2 kernel_size: 1 max_displacement: 2 } }`);
  assert.equal(rows, ['c Correlation1D 1×5×4×8']);
});

test('two layers with the same name and type are two rows', () => {
  const relu = 'layer { name: "r" type: "ReLU" bottom: "x" top: "y" }';
  assert.equal(rowsOf(`${input('x', 1, 3, 4, 4)}\n${relu}\n${relu.replace('"y"', '"z"')}`).rows, [
    'r ReLU 1×3×4×4',
    'r ReLU 1×3×4×4',
  ]);
});

test.run();
