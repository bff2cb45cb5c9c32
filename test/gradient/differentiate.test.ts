/** Which gradients exist, in which order, and what they read: Caffe's rules (net.cpp Init, split_layer.cpp). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filterNet, readNet } from '../../ts/caffe/net-parameter.ts';
import { lower } from '../../ts/compile/lower.ts';
import { type Differentiated, type DiffRequest, differentiate } from '../../ts/gradient/differentiate.ts';
import { fuseForTraining } from '../../ts/gradient/fuse-for-training.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import type { Program } from '../../ts/operations/program.ts';
import { dropIdentity } from '../../ts/passes/simplify.ts';

const DATA = `
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 6 } } }
  layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }`;
const LOSS = (bottom: string) => `
  layer { name: "fc" type: "InnerProduct" bottom: "${bottom}" top: "fc" inner_product_param { num_output: 4 } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`;
const convolution = (name: string, bottom: string, more = '') =>
  `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}" ${more}
     convolution_param { num_output: 3 kernel_size: 3 pad: 1 bias_term: false } }`;
const FROZEN = 'param { lr_mult: 0 }';

function train(
  layers: string,
  { fuse = true, ...request }: Partial<DiffRequest> & { fuse?: boolean } = {},
): Differentiated & { forward: Program } {
  const net = filterNet(readNet(layers, { file: 'net' }), { phase: 'TRAIN' });
  const graph = dropIdentity(graphFromCaffe(net, { phase: 'TRAIN' }));
  const { program, recipes } = lower(graph, { training: true });
  const seeds = [...graph.lossWeights.keys()];
  const forward = fuse ? fuseForTraining(program, new Set([...graph.outputs, ...seeds])) : program;
  const parameters = new Set(
    recipes.flatMap((recipe, id) =>
      recipe.kind === 'blob' && graph.parameters[recipe.parameter]!.lrMult !== 0 ? [id] : [],
    ),
  );
  const result = differentiate(forward, { seeds, parameters, ...request });
  checkOrder(result.program);
  return { ...result, forward };
}

// Checks that every tensor is written once, before it is read.
function checkOrder({ operations, inputs }: Program): void {
  const made = new Set(inputs);
  for (const operation of operations) {
    for (const id of operation.inputs) assert.ok(id === -1 || made.has(id), `${operation.layer} reads ${id}`);
    for (const id of operation.outputs) {
      assert.not.ok(id !== -1 && made.has(id), `${operation.layer} makes ${id} again`);
      if (id !== -1) made.add(id);
    }
  }
}

/** `conv1(x, y → dx, dw)`: what each operation of the backward pass reads and writes. */
function backwardOf({ program, forward }: ReturnType<typeof train>): string[] {
  return program.operations.slice(forward.operations.length).map((operation) => {
    if (operation.kind !== 'gradient') return `${operation.kind} ${operation.layer}`;
    const of = program.operations[operation.of]!;
    const names = [
      ...of.inputs.map((_, i) => `x${i}`),
      ...of.outputs.map((_, i) => `y${i}`),
      ...of.outputs.map((_, i) => `dy${i}`),
    ];
    const results = operation.outputs.map((_, i) =>
      i < of.inputs.length ? `dx${i}` : `dw${i - of.inputs.length}`,
    );
    const there = (list: readonly string[], ids: readonly number[]) => list.filter((_, i) => ids[i] !== -1);
    return `${of.layer}(${there(names, operation.inputs)} → ${there(results, operation.outputs)})`;
  });
}

test("gradients come in reverse order, stop at the data and the labels, and a convolution's reads only its input", () => {
  const result = train(`${DATA} ${convolution('c1', 'data')} ${convolution('c2', 'c1')} ${LOSS('c2')}`);
  assert.equal(backwardOf(result), [
    'loss(x0,x1,dy0 → dx0)',
    'fc(x0,dy0 → dx0,dw0,dw1)',
    'c2(x0,dy0 → dx0,dw0)',
    'c1(x0,dy0 → dw0)',
  ]);
  assert.is(result.parameterDiffs.size, 4);
  const added = result.program.inputs.slice(2).map((id) => result.program.tensors[id]!.name);
  assert.equal(added, ['loss diff']);
});

test('a parameter with lr_mult 0 has no diff, and no diff flows to where nothing learns', () => {
  const result = train(
    `${DATA} ${convolution('c1', 'data', FROZEN)} ${convolution('c2', 'c1')} ${convolution('c3', 'c2', FROZEN)} ${LOSS('c3')}`,
  );
  assert.equal(backwardOf(result), [
    'loss(x0,x1,dy0 → dx0)',
    'fc(x0,dy0 → dx0,dw0,dw1)',
    'c3(dy0 → dx0)',
    'c2(x0,dy0 → dw0)',
  ]);
});

test('propagate_down: false stops the diff at that bottom', () => {
  const layers = (down: boolean) =>
    `${DATA} ${convolution('c1', 'data')} ${convolution('c2', 'c1', `propagate_down: ${down}`)} ${LOSS('c2')}`;
  assert.is(backwardOf(train(layers(true))).at(-1), 'c1(x0,dy0 → dw0)');
  assert.is(backwardOf(train(layers(false))).at(-1), 'c2(x0,dy0 → dw0)');
});

test('BatchNorm, Scale and ReLU are one operation whose gradient reads x, y, mean and variance', () => {
  const layers = `${DATA} ${convolution('c1', 'data')}
    layer { name: "bn" type: "BatchNorm" bottom: "c1" top: "c1" }
    layer { name: "scale" type: "Scale" bottom: "c1" top: "c1" scale_param { bias_term: true } }
    layer { name: "relu" type: "ReLU" bottom: "c1" top: "c1" } ${LOSS('c1')}`;
  const fused = train(layers);
  assert.is(fused.forward.operations.length, 4);
  assert.is(backwardOf(fused)[2], 'bn(x0,y0,y1,y2,dy0 → dx0,dw0,dw1)');
  assert.equal(backwardOf(train(layers, { fuse: false })).slice(2, 5), [
    'relu(y0,dy0 → dx0)',
    'scale(x0,dy0 → dx0,dw0,dw1)',
    'bn(x0,y1,y2,dy0 → dx0)',
  ]);
});

test('a value that another layer reads, and a ReLU with a negative slope below 0, are not fused', () => {
  const between = (relu: string) => `${DATA} ${convolution('c1', 'data')}
    layer { name: "relu" type: "ReLU" bottom: "c1" top: "r" ${relu} }`;
  const shared = train(
    `${between('')} layer { name: "sum" type: "Eltwise" bottom: "c1" bottom: "r" top: "s" } ${LOSS('s')}`,
  );
  assert.is(shared.forward.operations[1]!.kind, 'relu');
  const negative = train(`${between('relu_param { negative_slope: -0.5 }')} ${LOSS('r')}`);
  assert.is(negative.forward.operations[1]!.kind, 'relu');
  assert.is(backwardOf(negative)[2], 'relu(x0,dy0 → dx0)');
});

test('a ReLU after a ReLU stays an operation of its own, with its own slope', () => {
  const { forward } = train(`${DATA} ${convolution('c1', 'data')}
    layer { name: "one" type: "ReLU" bottom: "c1" top: "one" }
    layer { name: "two" type: "ReLU" bottom: "one" top: "two" relu_param { negative_slope: 0.25 } } ${LOSS('two')}`);
  const [first, second] = forward.operations;
  assert.ok(first!.kind === 'convolution' && first!.relu?.negativeSlope === 0);
  assert.ok(second!.kind === 'relu' && second!.negativeSlope === 0.25);
});

const BLOCK = `${DATA} ${convolution('c1', 'data')} ${convolution('c2', 'c1')} ${convolution('c3', 'c1')}
  layer { name: "sum" type: "Eltwise" bottom: "c3" bottom: "c2" top: "sum" }`;

test('a residual sum passes its diff on without an operation, and the diffs of both branches are added', () => {
  const result = train(`${BLOCK} ${LOSS('sum')}`);
  assert.equal(backwardOf(result).slice(2), [
    'c3(x0,dy0 → dx0,dw0)',
    'c2(x0,dy0 → dx0,dw0)',
    'eltwise c1 diff',
    'c1(x0,dy0 → dw0)',
  ]);
  const [c3, c2, sum] = result.program.operations.slice(-4);
  assert.is(c3!.inputs.at(-1), c2!.inputs.at(-1));
  assert.equal(sum!.inputs, [c2!.outputs[0], c3!.outputs[0]], 'in the order of the readers');
});

test('a ReLU after the sum is applied once for both branches', () => {
  const result = train(
    `${BLOCK} layer { name: "relu" type: "ReLU" bottom: "sum" top: "sum" } ${LOSS('sum')}`,
  );
  assert.equal(backwardOf(result).slice(2, 5), [
    'sumBehindRelu sum diff',
    'c3(x0,dy0 → dx0,dw0)',
    'c2(x0,dy0 → dx0,dw0)',
  ]);
  const [through, c3, c2] = result.program.operations.slice(result.forward.operations.length + 2);
  assert.equal([c3!.inputs.at(-1), c2!.inputs.at(-1)], [through!.outputs[0], through!.outputs[0]]);
});

test('the diffs of several readers are added and pass the ReLU in one operation; beyond four they are added first', () => {
  const readers = (count: number) => {
    const names = Array.from({ length: count }, (_, i) => `r${i}`);
    const layers = names.map((name) => convolution(name, 'sum')).join('');
    const end = `layer { name: "end" type: "Concat" ${names.map((name) => `bottom: "${name}"`).join(' ')} top: "end" }`;
    return train(
      `${BLOCK} layer { name: "relu" type: "ReLU" bottom: "sum" top: "sum" } ${layers} ${end} ${LOSS('end')}`,
    );
  };
  const through = (result: ReturnType<typeof train>) =>
    result.program.operations.find(({ kind }) => kind === 'sumBehindRelu')!;
  assert.is(through(readers(2)).inputs.length, 3);
  assert.not.ok(backwardOf(readers(2)).includes('eltwise sum diff'));
  assert.is(through(readers(4)).inputs.length, 5);
  assert.is(through(readers(5)).inputs.length, 2);
  assert.ok(backwardOf(readers(5)).includes('eltwise sum diff'));
});

const NORMALISED = (between = '') => `${DATA} ${convolution('c1', 'data')} ${convolution('c2', 'c1')}
  layer { name: "bn" type: "BatchNorm" bottom: "c2" top: "bn" }
  layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } } ${between}
  layer { name: "sum" type: "Eltwise" bottom: "c1" bottom: "bn" top: "sum" }
  layer { name: "relu" type: "ReLU" bottom: "sum" top: "sum" }`;

test("a sum of a BatchNorm's result, which nothing else reads, and a residual is one operation, whose gradient reads no sum", () => {
  const result = train(`${NORMALISED()} ${LOSS('sum')}`);
  const merged = result.forward.operations.find(({ kind }) => kind === 'batchNorm')!;
  assert.is(merged.inputs.length, 2);
  assert.ok('relu' in merged && merged.relu !== null);
  assert.not.ok(result.forward.operations.some(({ kind }) => kind === 'eltwise'));
  assert.equal(backwardOf(result), [
    'loss(x0,x1,dy0 → dx0)',
    'fc(x0,dy0 → dx0,dw0,dw1)',
    'sumBehindRelu sum diff',
    'bn(x0,y1,y2,dy0 → dx0,dw0,dw1)',
    'c2(x0,dy0 → dx0,dw0)',
    'eltwise c1 diff',
    'c1(x0,dy0 → dw0)',
  ]);
});

const SHORTCUT = `layer { name: "p1" type: "Convolution" bottom: "c1" top: "p1"
    convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
  layer { name: "pbn" type: "BatchNorm" bottom: "p1" top: "pbn" }
  layer { name: "pscale" type: "Scale" bottom: "pbn" top: "pbn" scale_param { bias_term: true } }`;
const PROJECTED = NORMALISED(SHORTCUT).replace(
  'bottom: "c1" bottom: "bn" top: "sum"',
  'bottom: "pbn" bottom: "bn" top: "sum"',
);
const strided = (name: string, stride = 2, more = '') =>
  `layer { name: "${name}" type: "Convolution" bottom: "sum" top: "${name}" ${more}
    convolution_param { num_output: 3 kernel_size: 1 stride: ${stride} bias_term: false } }`;
const BRANCHES = (layers: string) =>
  `${PROJECTED} ${layers} layer { name: "end" type: "Concat" bottom: "a" bottom: "b" top: "end" } ${LOSS('end')}`;

test('with sparesTraffic, the sums of the BatchNorms at the end of a block are computed with their diff', () => {
  const result = train(`${PROJECTED} ${LOSS('sum')}`, { sparesTraffic: true });
  const { operations, tensors } = result.program;
  const sum = operations.find(({ kind }) => kind === 'sumBehindRelu')!;
  assert.is(sum.outputs.length, 5);
  assert.equal(
    sum.outputs.slice(1).map((id) => tensors[id]!.name),
    ['bn diff sum', 'bn diff product', 'pbn diff sum', 'pbn diff product'],
  );
  const gradients = operations.filter(({ kind, layer }) => kind === 'gradient' && /bn/.test(layer));
  assert.equal(
    gradients.map(({ inputs }) => inputs.slice(-2)),
    [sum.outputs.slice(1, 3), sum.outputs.slice(3, 5)],
  );
  // These are the diffs of both layers' biases and scales.
  assert.ok(gradients.every(({ outputs }) => outputs.slice(-2).every((id) => id === -1)));
  const diffs = new Set(result.parameterDiffs.values());
  assert.ok(sum.outputs.slice(1).every((id) => diffs.has(id)));
  assert.is(train(`${PROJECTED} ${LOSS('sum')}`).program.operations.length, operations.length);
});

test('BatchNorms with a ReLU, with other readers, or with global statistics get no sums with their diff', () => {
  const normsOf = (layers: string) =>
    train(layers, { sparesTraffic: true }).program.operations.flatMap((operation) =>
      operation.kind === 'sumBehindRelu' ? [operation.eps.length] : [],
    );
  const frozen = 'batch_norm_param { use_global_stats: true }';
  assert.equal(normsOf(`${PROJECTED} ${LOSS('sum')}`), [2]);
  assert.equal(
    normsOf(`${PROJECTED.replace('bottom: "p1" top: "pbn"', `$& ${frozen}`)} ${LOSS('sum')}`),
    [1],
  );
  const side = 'layer { name: "end" type: "Concat" bottom: "sum" bottom: "pbn" top: "end" }';
  assert.equal(normsOf(`${PROJECTED} ${side} ${LOSS('end')}`), [1]);
});

test('with sparesTraffic, diffs of strided 1×1 convolutions hold only the positions that these read', () => {
  const shapes = (layers: string, request: Partial<DiffRequest> = { sparesTraffic: true }) => {
    const { program } = train(layers, request);
    const sum = program.operations.find(({ kind }) => kind === 'sumBehindRelu')!;
    assert.ok(sum.kind === 'sumBehindRelu');
    const parts = sum.inputs.slice(1, sum.inputs.length - 3 * sum.eps.length);
    return { stride: sum.stride, sizes: parts.map((id) => program.tensors[id]!.shape[2]) };
  };
  const both = BRANCHES(`${strided('a')} ${strided('b')}`);
  assert.equal(shapes(both), { stride: [2, 2], sizes: [3, 3] });
  assert.equal(shapes(both, {}), { stride: [1, 1], sizes: [6, 6] });
  const padded = strided('b').replace('kernel_size: 1', 'kernel_size: 2');
  assert.equal(shapes(BRANCHES(`${strided('a')} ${padded}`)), { stride: [2, 2], sizes: [3, 6] });
  const other = `${strided('b', 3)} ${LOSS('b').replaceAll('"fc"', '"fc2"').replaceAll('"loss"', '"loss2"')}`;
  const apart = `${PROJECTED} ${strided('a')} ${LOSS('a')} ${other}`;
  assert.equal(shapes(apart), { stride: [2, 2], sizes: [3, 6] }, 'one stride a sum');
  const sum = train(both).forward.tensors.findLastIndex(({ name }) => name === 'sum');
  const wanted = { sparesTraffic: true, tensors: [sum] };
  assert.equal(shapes(both, wanted), { stride: [1, 1], sizes: [6, 6] }, 'a diff that is asked for is whole');
});

test('a BatchNorm with other readers, or followed by a ReLU, adds no residual', () => {
  const kinds = (layers: string) => train(layers).forward.operations.map(({ kind }) => kind);
  const isRead = `${NORMALISED(convolution('other', 'bn'))}
    layer { name: "end" type: "Concat" bottom: "sum" bottom: "other" top: "end" } ${LOSS('end')}`;
  assert.ok(kinds(isRead).includes('eltwise'));
  const isCut = NORMALISED('layer { name: "cut" type: "ReLU" bottom: "bn" top: "bn" }');
  assert.ok(kinds(`${isCut} ${LOSS('sum')}`).includes('eltwise'));
});

test('shared weights get the sum of their diffs', () => {
  const shared = 'param { name: "w" }';
  const result = train(
    `${DATA} ${convolution('c1', 'data', shared)} ${convolution('c2', 'c1', shared)} ${LOSS('c2')}`,
  );
  assert.is(result.parameterDiffs.size, 3);
  assert.is(backwardOf(result).at(-1), 'eltwise c1/0 diff');
});

test('values that contribute to no loss have no diff', () => {
  const result = train(`${BLOCK} ${convolution('side', 'sum')} ${LOSS('sum')}`);
  assert.not.ok(backwardOf(result).some((text) => text.startsWith('side')));
  assert.is(result.parameterDiffs.size, 5);
});

test('requested diffs are returned as a whole and by reader', () => {
  const { program } = train(BLOCK + LOSS('sum'));
  const c1 = program.tensors.findIndex(({ name }) => name === 'c1');
  const { tensorDiffs } = train(BLOCK + LOSS('sum'), { tensors: [0, c1] });
  assert.is(tensorDiffs.get(c1)!.byReader.length, 2);
  assert.not.ok(tensorDiffs.get(c1)!.byReader.includes(tensorDiffs.get(c1)!.whole));
  assert.is.not(tensorDiffs.get(0)!.whole, null, 'of the data too');
});

test('values that are not kept are recomputed just before their gradient, and BatchNorm counts a batch once', () => {
  const layers = `${DATA} ${convolution('c1', 'data')}
    layer { name: "bn" type: "BatchNorm" bottom: "c1" top: "c1" } ${convolution('c2', 'c1')} ${LOSS('c2')}`;
  const kept = new Set<number>();
  const result = train(layers, { isKept: (id) => kept.has(id) });
  assert.equal(backwardOf(result), [
    'convolution c1',
    'batchNorm bn',
    'convolution c2',
    'innerProduct fc',
    'loss(x0,x1,dy0 → dx0)',
    'fc(x0,dy0 → dx0,dw0,dw1)',
    'c2(x0,dy0 → dx0,dw0)',
    'bn(x0,y1,y2,dy0 → dx0)',
    'c1(x0,dy0 → dw0)',
  ]);
  const [first, again] = result.program.operations.filter(({ kind }) => kind === 'batchNorm');
  assert.ok(first!.kind === 'batchNorm' && first!.update);
  assert.ok(again!.kind === 'batchNorm' && !again!.update);
});

test('Scale and BatchNorm with global statistics stay operations on their own blobs', () => {
  const global = 'batch_norm_param { use_global_stats: true }';
  const { forward } = train(
    `${DATA} ${convolution('c1', 'data')}
     layer { name: "bn" type: "BatchNorm" bottom: "c1" top: "c1" ${global} }
     layer { name: "scale" type: "Scale" bottom: "c1" top: "c1" scale_param { bias_term: true } } ${LOSS('c1')}`,
    { fuse: false },
  );
  const bn = forward.operations[1]!;
  assert.ok(bn.kind === 'batchNorm' && bn.statistics === 'global' && !bn.update);
  const learns = Object.fromEntries(forward.parameters.map(({ name, mutable }) => [name, mutable]));
  assert.equal(learns, {
    'c1/0': true,
    'bn/0': false,
    'bn/1': false,
    'bn/2': false,
    'scale/0': true,
    'scale/1': true,
    'fc/0': true,
    'fc/1': true,
  });
});

test.run();
