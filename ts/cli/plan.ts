/** `resnode plan` computes the memory of a net before any is allocated. */

import { Command } from 'commander';
import { GraphError } from '../base/errors.ts';
import type { ModelPlan } from '../compile/compile.ts';
import { readInputShapes } from '../data/read-shapes.ts';
import { openDevice } from '../device/device.ts';
import { formatBytes, largestBatch } from '../device/memory.ts';
import { SGD_UPDATE, withLoss } from '../device/plan-training.ts';
import { flag, own } from './flag.ts';
import { netArgument } from './model-folder.ts';
import {
  type AnyPrecisionFlags,
  anyPrecisionOption,
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  precisionOf,
  readFilteredNet,
  type StateFlags,
  stateOptions,
  stateUsed,
} from './options.ts';

interface Flags extends DeviceFlags, AnyPrecisionFlags, StateFlags, InputShapeFlags {
  model: string;
  batch: number[];
  train?: boolean;
  recompute?: boolean;
  json?: boolean;
  gpuMemory?: number;
}

interface Row {
  readonly batch: number;
  readonly weightBytes: number;
  readonly activationBytes: number;
  readonly workspaceBytes: number;
  readonly totalBytes: number;
  readonly fits: boolean;
}

/** The largest workspace that cuDNN may request for a convolution (kWorkspaceLimit of cuda/convolution/chooser.h). */
const CUDNN_WORKSPACE = 512 * 2 ** 20;

/** The largest batch of the search. */
const MOST = 4096;

export function plan(): Command {
  const command = netArgument(new Command())
    .addOption(own('batches', [1]))
    .addOption(own('planTraining'))
    .addOption(flag('device.train', 'recompute', '--recompute'))
    .addOption(own('gpuMemory'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
The figures for weights are those of packed weights from a caffemodel; without one, the fillers take memory as well. The largest
batch is searched up to ${MOST}, in the memory that is free now. Batch sizes may differ in how weights are packed.

Examples:
  resnode plan ResNet-50-deploy.prototxt --device cpu --batch 1,8,32
  resnode plan ResNet-50-deploy.prototxt --train --recompute --batch 8,32
  resnode plan ResNet-50-deploy.prototxt --device cuda --gpu-memory 8GiB --precision float16`,
    );
  return inputShapeOption(stateOptions(anyPrecisionOption(deviceOptions(command)))).action(
    async (_: string | undefined, flags: Flags) => {
      if (flags.recompute && !flags.train) command.error('error: --recompute needs --train', { exitCode: 2 });
      const { precision } = flags;
      if (flags.train && precision === 'int8')
        command.error('error: training does not support int8; choose another --precision', { exitCode: 2 });
      const read = readFilteredNet(
        flags.model,
        flags.train && flags.phase === undefined ? { ...flags, phase: 'TRAIN' } : flags,
      );
      const model = flags.train ? withLoss(read) : read;
      const common = {
        model,
        ...stateUsed(read),
        inputShapes: await readInputShapes(read, flags.inputShape),
      };
      if (flags.gpuMemory !== undefined && !flags.device.startsWith('cuda'))
        command.error('error: --gpu-memory needs --device cuda', { exitCode: 2 });
      await using device = await (flags.gpuMemory === undefined
        ? openFlagged(flags)
        : openDevice(flags.device, { gpuMemory: flags.gpuMemory }));
      // The workspace of a convolution exists only during the operation, so the largest one limits them all.
      const cudnnBytes = flags.gpuMemory === undefined || !flags.cudnn ? 0 : CUDNN_WORKSPACE;
      const free = Math.max(0, device.memory().free - cudnnBytes);
      const planned = async (batch: number, tune = flags.tune): Promise<ModelPlan> =>
        flags.train
          ? device.planTraining({
              ...common,
              batch,
              update: SGD_UPDATE,
              recompute: flags.recompute ?? false,
              ...(precision === 'int8' ? {} : { precision }),
            })
          : device.plan({ ...common, ...precisionOf(flags), batch, tune });
      const rows: Row[] = [];
      for (const batch of flags.batch) rows.push(rowOf(batch, await planned(batch), free));
      // As in a load that does not fit, the search does not time convolutions.
      const largest = await largestBatch(MOST + 1, free, async (batch) => {
        try {
          return bytesOf(await planned(batch, false));
        } catch (error) {
          // The blob is too large, or the net does not accept the batch: proposal layers need one image.
          if (error instanceof GraphError) return Number.POSITIVE_INFINITY;
          throw error;
        }
      });
      const result = {
        device: device.name,
        precision: flags.precision,
        freeBytes: free,
        ...(flags.gpuMemory === undefined
          ? {}
          : { gpuMemory: flags.gpuMemory, cudnnWorkspaceBytes: cudnnBytes }),
        batches: rows,
        largestBatch: largest,
      };
      console.log(flags.json ? JSON.stringify(result) : tableText(result));
    },
  );
}

const bytesOf = ({ parameterBytes, arenaBytes, workspaceBytes }: ModelPlan) =>
  parameterBytes + arenaBytes + workspaceBytes;

function rowOf(batch: number, plan: ModelPlan, free: number): Row {
  const totalBytes = bytesOf(plan);
  return {
    batch,
    weightBytes: plan.parameterBytes,
    activationBytes: plan.arenaBytes,
    workspaceBytes: plan.workspaceBytes,
    totalBytes,
    fits: totalBytes <= free,
  };
}

function tableText({
  device,
  precision,
  freeBytes,
  gpuMemory,
  cudnnWorkspaceBytes = 0,
  batches: rows,
  largestBatch: largest,
}: {
  device: string;
  precision: string;
  freeBytes: number;
  gpuMemory?: number;
  cudnnWorkspaceBytes?: number;
  batches: readonly Row[];
  largestBatch: number;
}): string {
  const line = (cells: readonly string[]) => cells.map((cell) => cell.padStart(12)).join(' ');
  const body = rows.map(({ batch, weightBytes, activationBytes, workspaceBytes, totalBytes, fits }) =>
    line([
      String(batch),
      ...[weightBytes, activationBytes, workspaceBytes, totalBytes].map(formatBytes),
      fits ? 'yes' : 'no',
    ]),
  );
  const advice =
    largest === 0 ? 'no batch fits' : largest === MOST ? `batch ${MOST} and more` : `batch ${largest}`;
  return [
    line(['batch', 'weights', 'activations', 'workspace', 'total', 'fits']),
    ...body,
    gpuMemory === undefined
      ? `largest that fits the ${formatBytes(freeBytes)} free on ${device} in ${precision}: ${advice}`
      : `largest that fits a GPU of ${formatBytes(gpuMemory)} in ${precision}: ${advice}, ${
          cudnnWorkspaceBytes > 0
            ? `with ${formatBytes(cudnnWorkspaceBytes)} left for the largest workspace that cuDNN may request`
            : 'without cuDNN'
        }; bytes by resnode's own kernels, without CUDA's context (some 0.6 GB with cuDNN)`,
  ].join('\n');
}
