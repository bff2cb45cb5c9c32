/** `resnode finetune` */

import { Command } from 'commander';
import { classifierOf } from '../architectures/training-net.ts';
import { shellWord } from '../base/shell-words.ts';
import { isFolder } from '../caffe/model-folder.ts';
import { readNetFile } from '../caffe/net-parameter.ts';
import { balanceFacts } from '../images/evaluate/balance-text.ts';
import { readLabels } from '../images/labels.ts';
import type { FinetuneEvent } from '../train/finetune/events.ts';
import { finetune as run } from '../train/finetune/finetune.ts';
import { formatDuration } from '../train/pace.ts';
import { BrokenImages } from './broken-images.ts';
import { flag, needed, own } from './flag.ts';
import { sayIgnored } from './image-files.ts';
import {
  type DeviceFlags,
  deviceOptions,
  openFlagged,
  type TrainingPrecisionFlags,
  trainingPrecisionOf,
  trainingPrecisionOptions,
} from './options.ts';
import { choosePreprocess, limitsOf, type PreprocessFlags, preprocessOptions } from './preprocess-options.ts';
import { labelLines } from './print-evaluation.ts';
import { stopOnSignals } from './stop-on-signals.ts';
import { eventJson, eventLines } from './training-log.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, PreprocessFlags, TrainingPrecisionFlags {
  model: string;
  weights: string;
  labels?: string;
  out: string;
  overwrite?: boolean;
  epochs?: number;
  batch?: number;
  rate?: number;
  headRate?: number;
  frozenBn?: boolean;
  liveBn?: boolean;
  valShare?: number;
  classWeights?: 'balanced' | readonly number[];
  sampling?: 'shuffled' | 'balanced';
  seed?: number;
  skipBroken?: boolean;
  json?: boolean;
}

export function finetune(): Command {
  const command = new Command()
    .argument(
      '<folder>',
      'a folder with a folder of images per class; or with train/ and val/ of such folders; or a list of images with several labels each',
    )
    .addOption(needed(own('deployModel')))
    .addOption(needed(own('weights')))
    .addOption(own('newLabels'))
    .addOption(own('outFolder', 'finetuned'))
    .addOption(own('overwrite'))
    .addOption(flag('finetune', 'epochs', '--epochs <n>'))
    .addOption(flag('finetune', 'batch', '--batch <n>'))
    .addOption(flag('finetune', 'rate', '--rate <rate>'))
    .addOption(flag('finetune', 'headRate', '--head-rate <factor>'))
    .addOption(own('frozenBn').conflicts('liveBn'))
    .addOption(own('liveBn'))
    .addOption(flag('finetune', 'classWeights', '--class-weights <weights>'))
    .addOption(flag('finetune', 'sampling', '--sampling <how>'))
    .addOption(flag('finetune', 'valShare', '--val-share <share>'))
    .addOption(flag('finetune', 'seed', '--seed <n>'))
    .addOption(own('skipBroken'))
    .addOption(own('jsonEvents'));
  preprocessOptions(weightsOptions(command));
  trainingPrecisionOptions(deviceOptions(command));
  return command
    .addHelpText(
      'after',
      `
The result is a model folder, which every command takes as --model, with report.html and report.json. Its folder training/ holds the
lists of the split, the net and solver of the training, and the last snapshot.

Example:
  resnode finetune hymenoptera --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --out ants-and-bees
  resnode classify ant.jpg --model ants-and-bees
  resnode finetune findings.txt --labels findings.names --model … # lines like "scan7.dcm 0,3" or "scan7.dcm 1 0 0 1"`,
    )
    .action(async (folder: string, flags: Flags) => {
      const { model, weights, out, epochs, batch, rate, headRate, valShare, seed } = flags;
      const { classWeights, sampling } = flags;
      const chosen = choosePreprocess(flags, model);
      const [, , height, width] = classifierOf(readNetFile(model)).shape as [number, number, number, number];
      const { crop: _, ...preprocess } = chosen.for({ width, height });
      const broken = new BrokenImages(flags);
      let classes: readonly string[] = [];
      using stop = stopOnSignals();
      await using device = await openFlagged(flags);
      for await (const event of run({
        ...{ folder, model, weights, out, device, epochs, batch, rate, headRate, valShare, seed },
        ...{ classWeights, sampling },
        ...(flags.labels === undefined ? {} : { labels: readLabels(flags.labels) }),
        ...trainingPrecisionOf(flags),
        ...matchOf(flags),
        batchNorm: flags.liveBn ? 'live' : 'frozen',
        preprocess,
        ...limitsOf(flags),
        onBroken: broken.onBroken,
        stop: stop.signal,
        overwrite: flags.overwrite ?? false,
      })) {
        if (event.type === 'split') {
          ({ classes } = event);
          if (isFolder(folder)) sayIgnored(folder, event.ignored);
          broken.end(event.train + event.val + broken.list.length);
        }
        if (event.type === 'stopped') process.exitCode = stop.status;
        if (flags.json) console.log(eventJson(event));
        else
          for (const line of lines(event, classes))
            (event.type === 'warning' ? console.error : console.log)(line);
      }
    });
}

function lines(event: FinetuneEvent, classes: readonly string[]): string[] {
  switch (event.type) {
    case 'split':
      return [
        `${event.classes.length} classes: ${event.train} images for training, ${event.val} for validation; new head ${event.head}`,
      ];
    case 'evaluated': {
      const name = (label: number) => classes[label] ?? `class ${label}`;
      return balanceFacts(event.summary, name).map(([title, value]) => `${title}: ${value}`);
    }
    case 'evaluatedLabels':
      return labelLines(event.summary, (label) => classes[label] ?? `class ${label}`);
    case 'written':
      return [
        `${formatDuration(event.seconds)}, at most ${(event.peakMemory / 2 ** 30).toFixed(2)} GiB of memory`,
        ...Object.values(event.files).map((file) => `wrote ${file}`),
      ];
    case 'stopped': {
      const { iteration, snapshot, solver, augment } = event;
      return [
        snapshot === null
          ? `stopped after ${iteration} iterations; nothing was saved`
          : `stopped after ${iteration} iterations, not evaluated; to continue: resnode train --solver ${shellWord(solver)} --snapshot ${shellWord(snapshot.state)} --augment ${shellWord(augment)}`,
      ];
    }
    default:
      return eventLines(event);
  }
}
