/** `resnode time`: Caffe's `caffe time`. */

import { Command } from 'commander';
import { elementCount } from '../base/shape.ts';
import { readNetFile } from '../caffe/net-parameter.ts';
import type { Device } from '../device/device.ts';
import type { Shapes } from '../device/tensor.ts';
import type { Schedule } from '../device/trainer.ts';
import { median } from '../tools/bench/statistics.ts';
import { flag, needed, own } from './flag.ts';
import {
  type AnyPrecisionFlags,
  anyPrecisionOption,
  type DeviceFlags,
  deviceOptions,
  type GpuFlags,
  type InputShapeFlags,
  inputShapeOption,
  netState,
  openFlagged,
  precisionOf,
  type StateFlags,
  stateOptions,
  withGpu,
} from './options.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, GpuFlags, AnyPrecisionFlags, StateFlags, InputShapeFlags {
  model: string;
  weights?: string;
  iterations: number;
  batch?: number;
  backward?: boolean;
  json?: boolean;
}

/** A sequence of timed runs. */
interface Timed {
  readonly whole: () => Promise<unknown>;
  readonly apart: () => Promise<readonly { layer: string; milliseconds: number; pass?: Pass }[]>;
  readonly implementations: readonly string[];
}

type Pass = 'forward' | 'backward' | 'update';

/** The median milliseconds of one operation over all runs. */
interface Operation {
  readonly layer: string;
  readonly implementation: string;
  readonly milliseconds: number;
  readonly pass: Pass;
}

export function time(): Command {
  const command = new Command()
    .addOption(needed(own('model')))
    .addOption(own('weightsOrFillers'))
    .addOption(own('iterations', 50))
    .addOption(flag('device.load', 'batch', '--batch <n>'))
    .addOption(own('backward'))
    .addOption(own('gpu'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
Inputs are zeros. A net without a loss goes backward from its outputs, as in caffe time.

Examples:
  resnode time --model ResNet-50-deploy.prototxt --iterations 20
  resnode time --model train_val.prototxt --backward --batch 8`,
    );
  weightsOptions(command);
  const full = inputShapeOption(stateOptions(anyPrecisionOption(deviceOptions(command))));
  return full.action(async (flags: Flags) => {
    if (flags.backward && flags.precision === 'int8')
      command.error('error: int8 has no backward pass; choose another --precision', { exitCode: 2 });
    await using device = await openFlagged(withGpu(flags));
    await (flags.backward ? timeTraining : timeInference)(device, flags);
  });
}

const common = (flags: Flags) => ({
  model: flags.model,
  inputShapes: flags.inputShape,
  ...netState(flags),
  ...(flags.weights === undefined ? {} : { weights: flags.weights }),
  ...matchOf(flags),
  ...(flags.batch === undefined ? {} : { batch: flags.batch }),
});

const zeros = (shapes: Shapes) =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, new Float32Array(elementCount(shape))]),
  );

async function timeInference(device: Device, flags: Flags): Promise<void> {
  await using model = await device.load({ ...common(flags), ...precisionOf(flags) });
  const inputs = zeros(model.inputs);
  const { operations, whole } = await measure(flags.iterations, {
    whole: () => model.run(inputs),
    apart: () => model.time(inputs),
    implementations: model.plan().operations.map(({ implementation }) => implementation),
  });
  if (flags.json) {
    const { iterations } = flags;
    const plain = operations.map(({ pass: _, ...operation }) => operation);
    console.log(JSON.stringify({ device: device.kind, iterations, milliseconds: whole, operations: plain }));
    return;
  }
  for (const { layer, milliseconds, implementation } of byLayer(operations))
    console.log(`${layer.padEnd(28)} ${figure(milliseconds)} ms  ${implementation}`);
  console.log(`forward: ${spread(whole)} over ${flags.iterations} runs on ${device.kind}`);
}

async function timeTraining(device: Device, flags: Flags): Promise<void> {
  const { precision } = flags;
  // Caffe's tool times phase TRAIN. If the net has inputs only in phase TEST, only that phase can be timed.
  const phase = flags.phase ?? readNetFile(flags.model).state?.phase ?? 'TRAIN';
  await using trainer = await device.train({
    ...common(flags),
    phase,
    update: null,
    ...(precision === 'int8' ? {} : { precision }),
  });
  const inputs = zeros(trainer.inputs);
  const schedule: Schedule = { rate: 0, iteration: 0 };
  const { operations, whole } = await measure(flags.iterations, {
    whole: () => trainer.gradients(inputs),
    apart: () => trainer.time(inputs, schedule),
    implementations: trainer.plan().operations.map(({ implementation }) => implementation),
  });
  const sum = (pass: Pass) =>
    operations.reduce((total, each) => total + (each.pass === pass ? each.milliseconds : 0), 0);
  const passes = { forward: sum('forward'), backward: sum('backward') };
  if (flags.json) {
    const { iterations } = flags;
    console.log(
      JSON.stringify({ device: device.kind, phase, iterations, milliseconds: whole, passes, operations }),
    );
    return;
  }
  for (const { layer, milliseconds, implementation, pass } of byLayer(operations))
    console.log(`${layer.padEnd(28)} ${pass.padEnd(8)} ${figure(milliseconds)} ms  ${implementation}`);
  console.log(`forward: ${passes.forward.toFixed(3)} ms, the sum of its operations`);
  console.log(`backward: ${passes.backward.toFixed(3)} ms, the sum of its operations`);
  console.log(
    `forward-backward: ${spread(whole)} over ${flags.iterations} runs in phase ${phase} on ${device.kind}`,
  );
}

/** One line per layer, as in `caffe time`, also for a layer that became several operations, such as an unrolled LSTM. */
function byLayer(operations: readonly Operation[]): Operation[] {
  const rows: (Operation & { readonly implementations: Set<string> })[] = [];
  for (const each of operations) {
    const before = rows.at(-1);
    if (before === undefined || before.layer !== each.layer || before.pass !== each.pass) {
      rows.push({ ...each, implementations: new Set([each.implementation]) });
      continue;
    }
    before.implementations.add(each.implementation);
    rows[rows.length - 1] = { ...before, milliseconds: before.milliseconds + each.milliseconds };
  }
  return rows.map(({ implementations, ...row }) => ({
    ...row,
    implementation: [...implementations].join(', '),
  }));
}

async function measure(iterations: number, { whole, apart, implementations }: Timed) {
  await whole();
  const all: number[] = [];
  for (let i = 0; i < iterations; i++) {
    const start = performance.now();
    await whole();
    all.push(performance.now() - start);
  }
  const runs: Awaited<ReturnType<Timed['apart']>>[] = [];
  for (let i = 0; i < iterations; i++) runs.push(await apart());
  const operations = runs[0]!.map(
    ({ layer, pass = 'forward' }, i): Operation => ({
      layer,
      implementation: implementations[i]!,
      milliseconds: median(runs.map((run) => run[i]!.milliseconds)),
      pass,
    }),
  );
  return { operations, whole: { median: median(all), minimum: Math.min(...all), maximum: Math.max(...all) } };
}

const figure = (milliseconds: number) => milliseconds.toFixed(3).padStart(9);

const spread = ({ median: middle, minimum, maximum }: { median: number; minimum: number; maximum: number }) =>
  `median ${middle.toFixed(3)} ms (${minimum.toFixed(3)} to ${maximum.toFixed(3)})`;
