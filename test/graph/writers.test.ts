/** Layers of forks that write files: they build, and what they would write is an output. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { graphFromCaffe } from '../../ts/index.ts';
import { input, net } from '../support/net-text.ts';

const outputsOf = (text: string) => {
  const graph = graphFromCaffe(net(text));
  return graph.outputs.map((id) => graph.values[id]!.blob);
};
const tanh = 'layer { name: "flow" type: "TanH" bottom: "x" top: "flow" }';

for (const layer of [
  'type: "FLOWriter" bottom: "flow" writer_param { folder: "out" prefix: "a" suffix: "b" scale: 1 }',
  'type: "MatWrite" bottom: "flow" mat_write_param { prefix: "out/fc8_" source: "list.txt" strip: 0 period: 1 }',
  'type: "PFMWriter" bottom: "flow"',
])
  test(`a layer of ${layer} leaves its bottom an output of the net`, () => {
    assert.equal(outputsOf(`${input('x', [1, 2])}${tanh} layer { name: "w" ${layer} }`), ['flow']);
  });

test('it is an output if others read it, too, and the warning says that no file is written', async () => {
  const warnings: string[] = [];
  const listen = (warning: Error & { code?: string }) => warnings.push(`${warning.code}: ${warning.message}`);
  process.on('warning', listen);
  const text = `${input('x', [1, 2])}${tanh} layer { name: "w" type: "ImgWriter" bottom: "flow" bottom: "x" } layer { name: "y" type: "TanH" bottom: "flow" top: "y" }`;
  assert.equal(outputsOf(text), ['flow', 'x', 'y']);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  assert.match(
    warnings.join(),
    /graph\/unwritten: layer "w" \(ImgWriter\): writes no file; "flow" and "x" are outputs of the net/,
  );
});

test('a MAT_WRITE of the old form is the same', () => {
  const text = `input: "x" input_dim: 1 input_dim: 2 input_dim: 1 input_dim: 1
    layers { name: "flow" type: TANH bottom: "x" top: "flow" } layers { name: "w" type: MAT_WRITE bottom: "flow" mat_write_param { prefix: "a" } }`;
  assert.equal(outputsOf(text), ['flow']);
});

test("makefile/frcnn's CuDNNDeconvolution is a Deconvolution", () => {
  const text = `${input('x', [1, 2, 3, 3])}layer { name: "y" type: "CuDNNDeconvolution" bottom: "x" top: "y" convolution_param { num_output: 2 kernel_size: 4 stride: 2 pad: 1 } }`;
  const graph = graphFromCaffe(net(text));
  assert.equal(graph.values[graph.outputs[0]!]!.shape, [1, 2, 6, 6]);
});

test.run();
