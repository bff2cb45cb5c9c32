/** Public nets of every kind with random weights: fused, each computes the same as layer by layer. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import type { Graph } from '../../ts/graph/graph.ts';
import {
  filterNet,
  graphFromCaffe,
  type LoadOptions,
  type NetParameter,
  openDevice,
  ResnodeError,
  readNet,
} from '../../ts/index.ts';
import { sharedFolder } from '../support/golden.ts';
import { randomValues, randomWeights } from '../support/random-weights.ts';

/** Larger nets are not run; others with the same layers are smaller. */
const MOST_MACS = 15e9;
const MOST_PARAMETERS = 80e6;
/** The parts of the declared height and width that are tried: the smallest that works is run. */
const PARTS = [1 / 4, 1 / 2, 1];

interface Case {
  readonly net: NetParameter;
  readonly inputShapes: Record<string, readonly number[]>;
  readonly graph: Graph;
}

/**
 * The net at its smallest possible size.
 * @throws ResnodeError if it does not build
 */
function smallest(file: string): Case {
  const net = filterNet(readNet(readFileSync(file, 'utf8'), { file }));
  const written = graphFromCaffe(net);
  const shapes = written.inputs.map((id) => written.values[id]!);
  for (const part of PARTS) {
    const smaller = (size: number) => (part === 1 ? size : Math.ceil((size * part) / 32) * 32);
    const inputShapes = Object.fromEntries(
      shapes.map(({ blob, shape }) => [
        blob,
        shape.length === 4 && shape[2]! > 8 ? [...shape.slice(0, 2), ...shape.slice(2).map(smaller)] : shape,
      ]),
    );
    try {
      return { net, inputShapes, graph: graphFromCaffe(net, { inputShapes }) };
    } catch (error) {
      if (part === 1) throw error;
    }
  }
  throw new Error('no part is 1');
}

function inputsOf({
  graph,
  inputShapes,
}: Case): Record<string, { shape: readonly number[]; data: Float32Array }> {
  const image = Object.values(inputShapes).find((shape) => shape.length === 4 && shape[2]! > 8)!;
  return Object.fromEntries(
    graph.inputs.map((id, i) => {
      const { blob, shape } = graph.values[id]!;
      const data =
        blob === 'im_info'
          ? Float32Array.of(image[2]!, image[3]!, 1)
          : blob === 'rois'
            ? Float32Array.of(0, 8, 8, 90, 70)
            : randomValues(elementCount(shape), 2, 0, i);
      return [blob, { shape, data }];
    }),
  );
}

const folder = join(sharedFolder() ?? '', 'nets');
if (!existsSync(folder)) console.log('skipped: there is no folder of public nets');
else {
  const device = await openDevice('cpu', { threads: 2, tune: false });
  test.after(() => device.dispose());
  let compared = 0;
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.prototxt'))) {
    test(`${file}: fused as layer by layer`, async () => {
      let small: Case;
      try {
        small = smallest(join(folder, file));
      } catch (error) {
        assert.instance(error, ResnodeError);
        console.log(`skipped: ${file}: ${(error as Error).message}`);
        return;
      }
      const { net, inputShapes, graph } = small;
      const parameters = graph.parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
      const { macs } = await device.plan({ model: net, inputShapes });
      if (macs > MOST_MACS || parameters > MOST_PARAMETERS) {
        console.log(
          `skipped: ${file}: ${(macs / 1e9).toFixed(0)}e9 products, ${(parameters / 1e6).toFixed(0)}e6 parameters`,
        );
        return;
      }
      const options: LoadOptions = { model: net, inputShapes, weights: randomWeights(graph) };
      compared++;
      const inputs = inputsOf(small);
      await using fused = await device.load(options);
      const actual = await fused.run(inputs);
      await using layered = await device.load({ ...options, optimize: false });
      const expected = await layered.run(inputs);
      for (const [name, { shape, data }] of Object.entries(expected)) {
        assert.equal(actual[name]!.shape, shape, name);
        assert.ok(data.every(Number.isFinite), `${name} is finite`);
        const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const worst = data.reduce(
          (most, value, i) => Math.max(most, Math.abs(value - actual[name]!.data[i]!)),
          0,
        );
        if (process.argv.includes('--print')) console.log(file, name, shape, largest, worst / largest);
        assert.ok(worst <= 2e-5 * largest, `${name}: differs by ${worst} of ${largest}`);
        assert.ok(
          fused.plan().operations.every(({ implementation }) => !/jit|brg|gemm/.test(implementation)),
        );
      }
    });
  }

  test('most of them were compared', () => assert.ok(compared >= 18, `${compared}`));
}

test.run();
