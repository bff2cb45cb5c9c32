/** The work of passes is proportional to the number of a net's nodes: counted, not timed. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import type { Graph } from '../../ts/graph/graph.ts';
import { passes, runPasses } from '../../ts/passes/index.ts';

const INPUT =
  'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 64 dim: 64 } } }';
const convolution = (name: string, from: string, more = 'kernel_size: 1') =>
  `layer { name: "${name}" type: "Convolution" bottom: "${from}" top: "${name}" convolution_param { num_output: 2 ${more} } }`;
const relu = (blob: string) => `layer { name: "${blob}_relu" type: "ReLU" bottom: "${blob}" top: "${blob}" }`;
const normalise = (blob: string) => `
  layer { name: "${blob}_bn" type: "BatchNorm" bottom: "${blob}" top: "${blob}" }
  layer { name: "${blob}_scale" type: "Scale" bottom: "${blob}" top: "${blob}" scale_param { bias_term: true } }`;
const sum = (name: string, a: string, b: string) =>
  `layer { name: "${name}" type: "Eltwise" bottom: "${a}" bottom: "${b}" top: "${name}" }`;
const repeat = (count: number, part: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => part(i)).join('\n');

/** Nets of `size` parts, each of which contains a pattern that a pass might visit again and again. */
const nets: Record<string, (size: number) => string> = {
  'residual blocks behind each other': (size) =>
    convolution('s0', 'data') +
    repeat(
      size,
      (i) => `${convolution(`a${i}`, `s${i}`)} ${normalise(`a${i}`)} ${relu(`a${i}`)}
        ${convolution(`b${i}`, `a${i}`)} ${normalise(`b${i}`)} ${sum(`s${i + 1}`, `s${i}`, `b${i}`)} ${relu(`s${i + 1}`)}`,
    ),
  'convolutions beside each other, with a sum each': (size) =>
    repeat(
      size,
      (i) =>
        `${convolution(`a${i}`, 'data')} ${normalise(`a${i}`)} ${sum(`s${i}`, 'data', `a${i}`)} ${relu(`s${i}`)}`,
    ),
  'a stride that moves up a long chain': (size) =>
    convolution('c0', 'data', 'kernel_size: 3') +
    repeat(size, (i) => convolution(`c${i + 1}`, `c${i}`)) +
    convolution('end', `c${size}`, 'kernel_size: 1 stride: 2'),
  'a stride that moves up many branches': (size) =>
    repeat(
      size,
      (i) =>
        `${convolution(`a${i}`, 'data', 'kernel_size: 3')} ${convolution(`b${i}`, `a${i}`, 'kernel_size: 1 stride: 2')}`,
    ),
};

/** The graph, and how often a field of one of its nodes was read. */
function counted(graph: Graph): { graph: Graph; reads: () => number } {
  let reads = 0;
  const nodes = graph.nodes.map(
    (node) =>
      new Proxy(node, {
        get(target, key) {
          reads++;
          return target[key as keyof typeof target];
        },
      }),
  );
  return { graph: { ...graph, nodes }, reads: () => reads };
}

/** The reads of a net's nodes, by pass. */
function readsOf(net: string): Map<string, number> {
  let graph = graphFromCaffe(readNet(`${INPUT} ${net}`, { file: 'net' }));
  return new Map(
    passes.map(({ name, run }) => {
      const before = counted(graph);
      graph = run(before.graph);
      return [name, before.reads()];
    }),
  );
}

for (const [name, net] of Object.entries(nets))
  test(`each pass reads twice as much for a net that is twice as large: ${name}`, () => {
    const [small, large] = [readsOf(net(40)), readsOf(net(80))];
    for (const [pass, reads] of large)
      assert.ok(reads <= 2.2 * small.get(pass)!, `${pass}: ${small.get(pass)} reads, then ${reads}`);
  });

test('a net of more than 5,000 layers becomes 1,667 convolutions', () => {
  const layers = nets['residual blocks behind each other']!(833);
  const graph = graphFromCaffe(readNet(`${INPUT} ${layers}`, { file: 'net' }));
  assert.ok(graph.nodes.length > 5000);
  const { nodes } = runPasses(graph);
  assert.equal([...new Set(nodes.map(({ operation }) => operation.kind))], ['convolution']);
  assert.is(nodes.length, 1667);
});

test.run();
