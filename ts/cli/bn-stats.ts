/** `resnode bn-stats` */
import { Command } from 'commander';
import { writeHdf5Weights } from '../caffe/hdf5-weights.ts';
import { filterNet, readNetFile } from '../caffe/net-parameter.ts';
import { saveCaffemodel } from '../caffe/write-caffemodel.ts';
import { averageStatistics } from '../train/batch-norm-statistics.ts';
import { readInitialWeights } from '../train/initial-weights.ts';
import { solverData } from '../train/solver-data.ts';
import { type DeviceFlags, deviceOptions, integer, names, openFlagged } from './options.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags {
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
  const command = new Command('bn-stats')
    .description(
      "measure BatchNorm's mean and variance anew: strict averages over batches of the training data",
    )
    .requiredOption('--model <prototxt>', 'the training net, with data layers')
    .requiredOption('--weights <caffemodel>', 'its weights')
    .requiredOption('--iterations <n>', 'how many batches', integer(1))
    .requiredOption('--out <caffemodel>', 'the new weights (.h5: in the HDF5 form)')
    .option('--level <n>', "level of the net's state", integer(0), 0)
    .option('--stage <names>', "stages of the net's state, with commas between them", names, [])
    .option('--augment <json>', 'what is done to images beside transform_param')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
The variance written is the mean of the batches' unbiased variances, and the factor is 1.

Example:
  resnode bn-stats --model train_val.prototxt --weights net_iter_64000.caffemodel --iterations 200 --out net.caffemodel`,
    );
  return deviceOptions(weightsOptions(command)).action(async (flags: Flags) => {
    const { level = 0, stage: stages = [], iterations, out } = flags;
    const net = readNetFile(flags.model);
    const weights = (await readInitialWeights([flags.weights]))!;
    await using device = await openFlagged(flags);
    const filtered = filterNet(net, { phase: 'TRAIN', level, stages });
    const source = await solverData(flags.model, flags.augment)(filtered, { phase: 'TRAIN', seed: 1 });
    try {
      const result = await averageStatistics({
        ...{ net, level, stages, weights, source, iterations, device, match: matchOf(flags) },
        onBatch: (done) => {
          if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${iterations} batches`);
        },
      });
      if (process.stderr.isTTY) process.stderr.write('\n');
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
  });
}
