/** Which functions are fused for which device. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readForRuns } from '../../ts/device/read-net.ts';
import { readNet } from '../../ts/index.ts';

const convolution = (name: string, bottom: string) =>
  `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}" convolution_param { num_output: 4 kernel_size: 1 } }`;
const inPlace = (type: string, blob: string) =>
  `layer { name: "${type}" type: "${type}" bottom: "${blob}" top: "${blob}" }`;
const model = readNet(
  `layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 5 dim: 5 } } }
   ${convolution('a', 'data')} ${inPlace('ReLU', 'a')}
   ${convolution('b', 'a')} ${inPlace('ReLU6', 'b')}
   ${convolution('c', 'b')} ${inPlace('PReLU', 'c')}`,
  { file: 'net.prototxt' },
);

test('the CPU and the reference fuse ReLU, ReLU6 and PReLU; a CUDA device fuses ReLU alone', async () => {
  const kindsFor = async (kind: string) => {
    const { lower } = await readForRuns({ model }, { kind, name: kind });
    return lower().program.operations.map((operation) => operation.kind);
  };
  const convolutions = ['convolution', 'convolution', 'convolution'];
  assert.equal(await kindsFor('cpu'), convolutions);
  assert.equal(await kindsFor('reference'), convolutions);
  assert.equal(await kindsFor('cuda'), ['convolution', 'convolution', 'clip', 'convolution', 'prelu']);
});

test.run();
