/** `resnode bn-stats` */
import { Command } from 'commander';
import { writeHdf5Weights } from '../caffe/hdf5-weights.ts';
import { needHdf5Writer } from '../caffe/hdf5-writer.ts';
import { filterNet, readNetFile } from '../caffe/net-parameter.ts';
import { saveCaffemodel } from '../caffe/write-caffemodel.ts';
import {
  type BatchStatistics,
  batchStatistics,
  layersOf,
  StatisticsSums,
} from '../train/batch-norm-statistics.ts';
import { readInitialWeights } from '../train/initial-weights.ts';
import { solverData } from '../train/solver-data.ts';
import { flag, needed, own } from './flag.ts';
import {
  checkGivenShapes,
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
} from './options.ts';
import { type ProcessFlags, processOptions } from './processes.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { isFirst, type Share, shared } from './share.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, InputShapeFlags, ProgressFlags, ProcessFlags {
  model: string;
  weights: string;
  iterations: number;
  out: string;
  level?: number;
  stage?: string[];
  augment?: string;
  json?: boolean;
}

export function bnStats(): Command {
  const command = new Command()
    .addOption(needed(own('trainedModel')))
    .addOption(needed(own('weights')))
    .addOption(needed(flag('averageStatistics', 'iterations', '--iterations <n>')))
    .addOption(needed(own('outWeights')))
    .addOption(flag('averageStatistics', 'level', '--level <n>', 0))
    .addOption(flag('averageStatistics', 'stages', '--stage <names>', []))
    .addOption(flag('solverData', 'augment', '--augment <json>'))
    .addOption(own('progress'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
The variance written is the mean of the batches' unbiased variances, and the factor is 1.

Example:
  resnode bn-stats --model train_val.prototxt --weights net_iter_64000.caffemodel --iterations 200 --out net.caffemodel`,
    );
  return inputShapeOption(deviceOptions(weightsOptions(processOptions(command)))).action((flags: Flags) =>
    shared(command, flags, (share) => measure(flags, share)),
  );
}

async function measure(flags: Flags, share: Share): Promise<void> {
  const { level = 0, stage: stages = [], iterations, out } = flags;
  const { rank, size: ranks } = share;
  if (out.endsWith('.h5')) needHdf5Writer();
  const net = readNetFile(flags.model);
  const weights = (await readInitialWeights([flags.weights]))!;
  await using device = await openFlagged(flags, share.communicator);
  const filtered = filterNet(net, { phase: 'TRAIN', level, stages });
  const open = solverData(flags.model, flags.augment);
  const source = await open(filtered, { phase: 'TRAIN', seed: 1, rank, ranks, share: 'batches' });
  try {
    checkGivenShapes(flags.inputShape, source.shapes, 'the data has');
    const progress = new Progress('batches', iterations, flags);
    const sums = new StatisticsSums(layersOf({ net, level, stages }));
    await share.collect<BatchStatistics>(
      iterations,
      async (put, signal) => {
        const load: typeof device.load = (options) => share.inTurn(() => device.load(options));
        const own = Math.max(0, Math.ceil((iterations - rank) / ranks));
        const options = { net, level, stages, weights, source, signal, match: matchOf(flags), rank, ranks };
        for await (const batch of batchStatistics({ ...options, device: { load }, iterations: own }))
          put(batch);
      },
      (batch) => {
        sums.add(batch);
        progress.update(sums.batches);
      },
    );
    progress.end();
    if (!isFirst(share)) return;
    const result = sums.statistics(weights, source);
    await (out.endsWith('.h5') ? writeHdf5Weights : saveCaffemodel)(out, result.weights);
    const { layers, samples } = result;
    if (flags.json) console.log(JSON.stringify({ layers, iterations, samples, out }));
    else
      console.log(
        `${out}: mean and unbiased variance of ${layers.length} BatchNorm layers over ${samples} samples in ${iterations} batches`,
      );
  } finally {
    await source.dispose();
  }
}
