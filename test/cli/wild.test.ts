/**
 * Which nets from public repositories build, and why the others do not: `lint`, `summary` and `plan` over all of them,
 * and with `--time` (it takes minutes) a run of each. Prints the table.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ResnodeError } from '../../ts/base/errors.ts';
import { elementCount } from '../../ts/base/shape.ts';
import { filterNet, type NetParameter, readNetFile } from '../../ts/caffe/net-parameter.ts';
import { readInputShapes } from '../../ts/data/read-shapes.ts';
import { type Device, openDevice } from '../../ts/device/device.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import { summarise } from '../../ts/graph/summary.ts';
import { supportedLayerTypes } from '../../ts/layers/index.ts';
import { lintFile } from '../../ts/tools/lint/lint.ts';
import { sharedFolder } from '../support/golden.ts';

const wild = join(sharedFolder() ?? '', 'prototxt-wild');
const MISSING_TYPE = /^graph\/(fork-type|unsupported-type|unknown-type)$/;

// MSRA's older SmoothL1Loss takes three bottoms, and its SoftmaxWithLoss gives three tops.
const MSRA_LOSSES = /(SmoothL1Loss|SoftmaxWithLoss).*found 3$/;

interface Outcome {
  /** Null: it builds. */
  readonly code: string | null;
  readonly message: string;
}

/** The layers that a user would keep: for the first phase that has inputs, and for the stages that these name. */
function stateOf(net: NetParameter): NetParameter {
  const stages = (net.layer ?? [])
    .filter(({ bottom = [] }) => bottom.length === 0)
    .flatMap(({ include = [] }) => include.flatMap(({ stage = [] }) => stage));
  const inputs = ({ layer = [] }: NetParameter) => layer.some(({ bottom = [] }) => bottom.length === 0);
  const tries = (['TEST', 'TRAIN'] as const).flatMap((phase) => [
    { phase },
    ...stages.map((stage) => ({ phase, stages: [stage] })),
  ]);
  return tries.map((state) => filterNet(net, state)).find(inputs) ?? filterNet(net);
}

/** What `--input-shape` would give: an image of batch 1, labels of batch 1. */
function shapesFor(net: NetParameter, file: string): Record<string, number[]> {
  const side = /cifar|captcha/i.test(file) ? 32 : 224;
  return Object.fromEntries(
    (net.layer ?? [])
      .filter(
        ({ bottom = [], type = '', transform_param }) =>
          bottom.length === 0 &&
          !['Input', 'DummyData', 'MemoryData', 'Parameter'].includes(type) &&
          !supportedLayerTypes.includes(type) &&
          !(transform_param as { crop_size?: number } | undefined)?.crop_size,
      )
      .flatMap(({ top = [], type }) => {
        const label = type === 'AnnotatedData' ? [1, 1, 1, 8] : [1];
        return top.map((name, i) => [name, name === 'rois' ? [1, 5] : i === 0 ? [1, 3, side, side] : label]);
      }),
  );
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
  test('a net from the wild builds, or is refused for a layer type that is not there yet', async () => {
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
      const work: Record<string, () => unknown> = {
        summary: async () =>
          summarise(graphFromCaffe(net, { inputShapes: await readInputShapes(net, given), batch: 1 })),
        plan: () => device.plan({ model: net, inputShapes: given, batch: 1, tune: false }),
        time: () => timeOnce(device, net, given),
      };
      for (const command of commands.slice(1)) {
        const { code, message } = await outcomeOf(work[command]!);
        if (code === null) built.set(command, built.get(command)! + 1);
        else if (!MISSING_TYPE.test(code) && !MSRA_LOSSES.test(message))
          wrong.push(`${command} ${file}: ${code} ${message}`);
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
    assert.ok(built.get('plan')! >= 65, `${built.get('plan')}`);
  });

test.run();
