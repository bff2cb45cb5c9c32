/** `resnode summary` */

import { Command } from 'commander';
import { optionsOf } from '../base/options.ts';
import type { ModelPlan } from '../compile/compile.ts';
import { readInputShapes } from '../data/read-shapes.ts';
import { formatBytes } from '../device/memory.ts';
import { graphFromCaffe, graphOptions } from '../graph/from-caffe.ts';
import { type Summary, summarise } from '../graph/summary.ts';
import { runPasses } from '../passes/index.ts';
import { flag, own } from './flag.ts';
import { netArgument } from './model-folder.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  readFilteredNet,
  type StateFlags,
  stateOptions,
  stateUsed,
} from './options.ts';

interface Flags extends DeviceFlags, StateFlags, InputShapeFlags {
  model: string;
  batch?: number;
  fused?: boolean;
  json?: boolean;
}

export function summary(): Command {
  const command = netArgument(new Command())
    .addOption(flag('device.load', 'batch', '--batch <n>'))
    .addOption(own('fused'))
    .addOption(own('json'))
    .addHelpText('after', '\nExample:\n  resnode summary ResNet-50-deploy.prototxt --fused --batch 8');
  return inputShapeOption(stateOptions(deviceOptions(command))).action(
    async (_: string | undefined, flags: Flags) => {
      const net = readFilteredNet(flags.model, flags);
      const options = {
        ...stateUsed(net),
        inputShapes: await readInputShapes(net, flags.inputShape),
        ...(flags.batch === undefined ? {} : { batch: flags.batch }),
      };
      const written = graphFromCaffe(net, optionsOf(graphOptions, options));
      const table = summarise(flags.fused ? runPasses(written) : written);
      await using device = await openFlagged(flags);
      const plan = await device.plan({ model: net, ...options });
      if (flags.json) console.log(JSON.stringify({ ...table, plan: { device: device.kind, ...plan } }));
      else console.log(`${tableText(table)}\n${planText(device.kind, plan)}`);
    },
  );
}

function tableText({ layers, parameters, macs }: Summary): string {
  const rows = layers.map(({ layers: names, type, shape, parameters: count, macs: work }) => {
    const name = names.length > 1 ? `${names[0]} +${names.length - 1}` : names[0]!;
    return `${name.padEnd(28)} ${type.padEnd(16)} ${shape.join('×').padEnd(18)} ${String(count).padStart(10)} ${(work / 1e6).toFixed(1).padStart(8)}`;
  });
  const head = `${'layer'.padEnd(28)} ${'type'.padEnd(16)} ${'top'.padEnd(18)} ${'parameters'.padStart(10)} ${'MMAC'.padStart(8)}`;
  const total = `${(parameters / 1e6).toFixed(2)} M parameters, ${(macs / 1e9).toFixed(3)} GMAC`;
  return [head, ...rows, total].join('\n');
}

function planText(device: string, plan: ModelPlan): string {
  return `on ${device}: parameters ${formatBytes(plan.parameterBytes)}, activations ${formatBytes(plan.arenaBytes)} (${formatBytes(plan.separateBytes)} without sharing), workspace ${formatBytes(plan.workspaceBytes)}, ${(plan.macs / 1e9).toFixed(3)} GMAC as planned`;
}
