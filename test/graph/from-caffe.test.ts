import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GraphError, PrototxtError } from '../../ts/base/errors.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { filterNet, type NetState, readNet } from '../../ts/caffe/net-parameter.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { resolveOutput } from '../../ts/graph/outputs.ts';
import { goldenCases, goldenFolder, readJson } from '../support/golden.ts';

interface Manifest {
  kind: string;
  phase: 'TRAIN' | 'TEST';
  level: number;
  stages: string[];
  structure: { outputs: string[]; layers: { name: string; params: number[][] }[] };
  passes: { blobs?: Record<string, { shape: number[] }>; layers?: Record<string, { shape: number[] }[]> }[];
}

const golden = goldenFolder();
// The recorder wrote the shape of a loss, which has no axes, as [] in some cases and as [1] in others.
const scalarAsOne = (shape: readonly number[]) => (shape.length === 0 ? [1] : shape);
const build = (path: string, manifest: NetState = {}) => {
  const { phase, level, stages } = manifest;
  return graphFromCaffe(
    filterNet(readNet(readFileSync(path, 'utf8'), { file: basename(path) }), { phase, level, stages }),
    { phase },
  );
};

/** Cases of layers that do not build. */
const isNotBuilt = (folder: string) => basename(folder).startsWith('filter_');

for (const group of ['layers', 'rules', 'mini-resnet', 'layers2', 'nets2']) {
  for (const folder of goldenCases(group)) {
    const manifest = readJson<Manifest>(join(folder, 'manifest.json'));
    if (isNotBuilt(folder) || manifest.kind !== 'net') continue;
    test(`${group}/${basename(folder)}: shapes, parameters and outputs are Caffe's`, () => {
      const graph = build(join(folder, 'net.prototxt'), manifest);
      for (const pass of manifest.passes) {
        for (const [name, { shape }] of Object.entries(pass.blobs ?? {}))
          assert.equal(
            scalarAsOne(graph.values[resolveOutput(graph, name)]!.shape),
            scalarAsOne(shape),
            name,
          );
      }
      const expected = manifest.structure.layers.flatMap(({ name, params }) =>
        params.map((shape) => `${name} ${shape}`),
      );
      const shared = new Set(graph.parameters.map(({ layer, shape }) => `${layer} ${shape}`));
      for (const entry of shared) assert.ok(expected.includes(entry), entry);
      assert.equal(
        graph.outputs.map((id) => graph.values[id]!.blob),
        manifest.structure.outputs,
      );
    });
  }
}

if (golden !== null) {
  for (const group of ['malformed', 'malformed2']) {
    const index = readJson<Record<string, { stage: string; kind: string; ok: boolean }>>(
      join(golden, group, 'index.json'),
    );
    for (const [name, entry] of Object.entries(index)) {
      if (entry.stage !== 'init' || entry.kind !== 'net') continue;
      // Caffe has stochastic pooling on GPUs only, and these records come from a CPU; here it runs on both.
      const isAccepted = entry.ok || name === 'pool_stochastic.prototxt';
      testMalformed(join(golden, group, name), isAccepted);
    }
  }

  function testMalformed(path: string, isAccepted: boolean): void {
    const name = basename(path);
    test(`${basename(dirname(path))}/${name} is ${isAccepted ? 'accepted' : 'refused with its place'}`, () => {
      if (isAccepted) {
        build(path);
        return;
      }
      assert.throws(
        () => build(path),
        (error: unknown) =>
          (error instanceof GraphError || error instanceof PrototxtError) &&
          error.message.includes(`${name}:`) &&
          /:\d+:\d+: /.test(error.message),
      );
    });
  }

  const msra = join(golden, 'prototxt/deep-residual-networks/prototxt');
  for (const [depth, parameters] of [
    [50, 25_610_216],
    [101, 44_654_504],
    [152, 60_344_232],
  ] as const) {
    const path = join(msra, `ResNet-${depth}-deploy.prototxt`);
    if (!existsSync(path)) continue;
    test(`ResNet-${depth} as published builds with its known shapes`, () => {
      const graph = build(path);
      const shape = (name: string) => graph.values[resolveOutput(graph, name)]!.shape;
      assert.equal(shape('pool1'), [1, 64, 56, 56]);
      assert.equal(shape('res5c'), [1, 2048, 7, 7]);
      assert.equal(shape('prob'), [1, 1000]);
      const count = graph.parameters.reduce((sum, p) => sum + elementCount(p.shape), 0);
      assert.ok(Math.abs(count - parameters) < 0.002 * parameters, `${count}`);
    });
  }
}

test('an unknown layer type is reported with its fork', () => {
  const refusal = (type: string): GraphError => {
    const text = `layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 } } }\nlayer {\n  type: "${type}" bottom: "d" top: "t" }`;
    try {
      graphFromCaffe(readNet(text, { file: 'net.prototxt' }));
    } catch (error) {
      assert.instance(error, GraphError);
      return error as GraphError;
    }
    return assert.unreachable('it was accepted') as never;
  };
  for (const [type, code, words] of [
    ['VideoData', 'graph/fork-type', "it belongs to SSD's fork"],
    ['DenseCRF', 'graph/fork-type', "it belongs to DeepLab's fork"],
    [
      'DenseImageData',
      'graph/fork-type',
      "SegNet's fork of Caffe (alexgkendall/caffe-segnet, also in ENet's)",
    ],
    [
      'Python',
      'graph/unsupported-type',
      'is not supported: it is code in a module of its own; give a JavaScript function for it',
    ],
    ['Convolutoin', 'graph/unknown-type', 'did you mean "Convolution"?'],
    ['Pool', 'graph/unknown-type', 'did you mean "Pooling", "Pooling3D" or "PoolingND"?'],
    ['Dazzle', 'graph/unknown-type', 'docs/layers.md lists'],
  ] as const) {
    const error = refusal(type);
    assert.is(error.code, code);
    assert.ok(error.message.includes('net.prototxt:3:3: ') && error.message.includes(words), error.message);
  }
});

const inner = (name: string, bottom: string, more: string) =>
  `layer { name: "${name}" type: "InnerProduct" bottom: "${bottom}" top: "${name}" ${more} inner_product_param { num_output: 3 } }`;
const learning = (layers: string) =>
  graphFromCaffe(
    readNet(`layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 dim: 3 } } } ${layers}`, {
      file: 'net.prototxt',
    }),
    { phase: 'TRAIN' },
  );
const refusedAs = (layers: string): string => {
  try {
    learning(layers);
  } catch (error) {
    assert.instance(error, GraphError);
    return (error as GraphError).code;
  }
  return assert.unreachable('it was accepted') as never;
};

test('a shared blob has the multipliers of the first layer that sets them; others may repeat but not change them', () => {
  const two = (first: string, second: string) =>
    inner('one', 'd', `param { name: "w" ${first} }`) + inner('two', 'one', `param { name: "w" ${second} }`);
  const [shared] = learning(two('', 'lr_mult: 2 decay_mult: 0')).parameters;
  assert.equal([shared!.lrMult, shared!.decayMult], [2, 0]);
  assert.equal(
    shared!.places.map(({ layer }) => layer),
    ['one', 'two'],
  );
  assert.is(learning(two('lr_mult: 3', 'lr_mult: 3')).parameters[0]!.lrMult, 3);
  assert.is(refusedAs(two('lr_mult: 3', 'lr_mult: 2')), 'graph/shared-multiplier');
  assert.is(refusedAs(two('decay_mult: 3', 'decay_mult: 2')), 'graph/shared-multiplier');
});

test("BatchNorm's blobs never learn, whatever decay they have", () => {
  const specs = 'param { lr_mult: 0 decay_mult: 2 }';
  const multipliers = (more: string) =>
    learning(`layer { name: "bn" type: "BatchNorm" bottom: "d" top: "bn" ${more} }`).parameters.map(
      ({ lrMult, decayMult }) => [lrMult, decayMult],
    );
  assert.equal(multipliers(''), [
    [0, 1],
    [0, 1],
    [0, 1],
  ]);
  assert.equal(multipliers(specs.repeat(3))[0], [0, 0], 'three are upgraded');
  assert.equal(multipliers(specs), [
    [0, 2],
    [0, 1],
    [0, 1],
  ]);
});

test('propagate_down is given once per bottom or not at all', () => {
  assert.is(
    refusedAs(inner('one', 'd', 'propagate_down: true propagate_down: false')),
    'graph/propagate-down',
  );
  assert.equal(learning(inner('one', 'd', 'propagate_down: false')).nodes[0]!.propagateDown, [false]);
});

test.run();
