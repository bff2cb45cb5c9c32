import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnet } from '../../ts/architectures/resnet.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { ArgumentError } from '../../ts/errors.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { goldenFolder } from '../support/golden.ts';

const golden = goldenFolder();
for (const depth of [50, 101, 152] as const) {
  const path = join(golden ?? '', `prototxt/deep-residual-networks/prototxt/ResNet-${depth}-deploy.prototxt`);
  if (existsSync(path)) {
    test(`resnet({ depth: ${depth} }) equals the published deploy net`, () => {
      assert.equal(resnet({ depth }), readNet(readFileSync(path, 'utf8'), { file: path }));
    });
  }
}

test('v1.5 and other class counts build', () => {
  const graph = graphFromCaffe(resnet({ depth: 50, version: 'v1.5', classes: 7, batch: 2 }));
  assert.equal(
    graph.outputs.map((id) => graph.values[id]!.shape),
    [[2, 7]],
  );
});

test('an unknown depth is refused', () => {
  assert.throws(
    () => resnet({ depth: 51 as 50 }),
    (error: unknown) => error instanceof ArgumentError,
  );
});

test.run();
