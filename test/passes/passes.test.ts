import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { withOutputs } from '../../ts/graph/outputs.ts';
import { totalMacs } from '../../ts/graph/summary.ts';
import { runPasses } from '../../ts/passes/index.ts';
import { goldenFolder } from '../support/golden.ts';

const golden = goldenFolder();
const path =
  golden === null ? '' : join(golden, 'prototxt/deep-residual-networks/prototxt/ResNet-50-deploy.prototxt');

if (existsSync(path)) {
  const graph = graphFromCaffe(readNet(readFileSync(path, 'utf8'), { file: path }));
  const block = (kernel: number, inputs: number, outputs: number, size: number) =>
    kernel * kernel * inputs * outputs * size * size;

  test('ResNet-50 becomes 53 convolutions and six more operations; the rest is folded and fused', () => {
    const count = new Map<string, number>();
    for (const { operation } of runPasses(graph).nodes)
      count.set(operation.kind, (count.get(operation.kind) ?? 0) + 1);
    // pool1, pool5 and the three residuals that are subsampled because the stride moved up.
    assert.equal(Object.fromEntries(count), { convolution: 53, pooling: 5, innerProduct: 1, softmax: 1 });
  });

  test('moving strides up removes exactly the pixels that nobody reads', () => {
    const saved = [
      [64, 56],
      [128, 28],
      [256, 14],
    ].reduce(
      (sum, [width, size]) =>
        sum + 0.75 * (block(3, width!, width!, size!) + block(1, width!, 4 * width!, size!)),
      0,
    );
    assert.is(totalMacs(graph) - totalMacs(runPasses(graph)), saved);
    assert.ok(totalMacs(graph) > 3.85e9 && totalMacs(graph) < 3.87e9);
  });

  test('a requested blob keeps its shape and its pixels', () => {
    const after = runPasses(withOutputs(graph, ['res2c', 'res3a_branch2a@res3a_branch2a', 'prob']));
    assert.equal(
      after.outputs.map((id) => after.values[id]!.shape),
      [
        [1, 256, 56, 56],
        [1, 128, 28, 28],
        [1, 1000],
      ],
    );
  });
}

test.run();
