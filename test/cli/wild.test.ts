/**
 * Which nets from public repositories build, and why the others do not: `lint`, `summary` and `plan` of all of them,
 * and with `--time` (which takes minutes) a run of each. Prints the table.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ResnodeError } from '../../ts/base/errors.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { type NetParameter, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { readInputShapes } from '../../ts/data/read-shapes.ts';
import { type Device, openDevice } from '../../ts/device/device.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { summarise } from '../../ts/graph/summary.ts';
import { registerLayers } from '../../ts/layers/javascript.ts';
import { lintFile } from '../../ts/tools/lint/lint.ts';
import { sharedFolder } from '../support/golden.ts';
import { ownLayers, shapesFor, stateOf } from '../support/wild-nets.ts';

const wild = join(sharedFolder() ?? '', 'prototxt-wild');

/** Nets that do not build, and why; docs/support.md has the same list. All others build. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'happynear+AMSoftmax__prototxt_auto_face_train_test_auto.prototxt': /"GlobalLSEMargin"/,
  'zhouyu-hust+FSINet__examples_FSINet_FSINet.prototxt': /"ClassBalancedSigmoidCrossEntropyAttentionLoss"/,
};

interface Outcome {
  /** Null: it builds. */
  readonly code: string | null;
  readonly message: string;
}

async function outcomeOf(work: () => unknown): Promise<Outcome> {
  try {
    await work();
    return { code: null, message: '' };
  } catch (error) {
    if (!(error instanceof ResnodeError)) throw error;
    return { code: error.code, message: error.message };
  }
}

async function timeOnce(device: Device, model: NetParameter, inputShapes: Record<string, readonly number[]>) {
  using loaded = await device.load({ model, inputShapes, batch: 1, tune: false });
  const inputs = Object.entries(loaded.inputs).map(
    ([name, shape]) => [name, new Float32Array(elementCount(shape))] as const,
  );
  const times = await loaded.time(Object.fromEntries(inputs));
  assert.ok(times.every(({ milliseconds }) => milliseconds >= 0));
}

if (!existsSync(join(wild, 'index.json')))
  console.log('skipped: no nets from the wild at shared/prototxt-wild beside the checkout');
else
  test('a net from the wild builds, or is in the list of refused nets for the reason given there', async () => {
    registerLayers(ownLayers);
    using device = await openDevice('cpu', { threads: 1 });
    const index = JSON.parse(readFileSync(join(wild, 'index.json'), 'utf8')) as {
      file: string;
      kind: string;
    }[];
    const withTime = process.argv.includes('--time');
    const commands = ['lint', 'summary', 'plan', ...(withTime ? ['time'] : [])];
    const built = new Map(commands.map((command) => [command, 0]));
    const reasons = new Map<string, number>();
    const wrong: string[] = [];
    const nets = index.filter(({ kind }) => kind === 'net');
    for (const { file } of nets) {
      const path = join(wild, file);
      const linted = lintFile(path, { inputShapes: shapesFor(stateOf(readNetFile(path)), file) });
      if (!linted.some(({ rule }) => ['does-not-parse', 'does-not-build'].includes(rule)))
        built.set('lint', built.get('lint')! + 1);
      const net = stateOf(readNetFile(path));
      const given = shapesFor(net, file);
      // Its regions of four sizes are a multiple of its images.
      const batch = /GBD/.test(file) ? undefined : 1;
      const work: Record<string, () => unknown> = {
        summary: async () =>
          summarise(graphFromCaffe(net, { inputShapes: await readInputShapes(net, given), batch })),
        plan: () => device.plan({ model: net, inputShapes: given, batch, tune: false }),
        time: () => timeOnce(device, net, given),
      };
      for (const command of commands.slice(1)) {
        const { code, message } = await outcomeOf(work[command]!);
        if (code === null) built.set(command, built.get(command)! + 1);
        const expected = REFUSED[file];
        if ((code !== null) !== (expected !== undefined) || (code !== null && !expected!.test(message)))
          wrong.push(
            `${command} ${file}: ${code === null ? 'builds, and is listed as refused' : `${code} ${message}`}`,
          );
        if (code === null || command !== 'summary') continue;
        const reason = /layer type "(\w*)"/.exec(message)?.[1] ?? code;
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      }
    }
    const table = [...built].map(([command, count]) => `${command} ${count} of ${nets.length}`);
    console.log(`figures: nets from the wild: ${table.join(', ')}`);
    const refused = [...reasons].sort((a, b) => b[1] - a[1]).map(([reason, count]) => `${reason} ${count}`);
    console.log(`figures: first layer type that is missing: ${refused.join(', ')}`);
    assert.equal(wrong, []);
    assert.ok(built.get('plan')! >= 92, `${built.get('plan')}`);
  });

test.run();
