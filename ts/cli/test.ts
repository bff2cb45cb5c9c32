/** `resnode test`: Caffe's `caffe test`. */

import { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import type { ApVersion } from '../caffe/check-solver.ts';
import { filterNet, readNetFile } from '../caffe/net-parameter.ts';
import { checkHdf5Outputs } from '../data/hdf5-output.ts';
import { hdf5Blobs, hdf5Outputs } from '../layers/sinks.ts';
import { lossWeightsOf } from '../train/open-training.ts';
import { solverData } from '../train/solver-data.ts';
import { detectionOutputs, testNet } from '../train/test-net.ts';
import { flag, needed, own } from './flag.ts';
import {
  checkGivenShapes,
  type DeviceFlags,
  deviceOptions,
  type GpuFlags,
  type InputShapeFlags,
  inputShapeOption,
  netState,
  openFlagged,
  type PrecisionFlags,
  precisionOption,
  type StateFlags,
  stateOptions,
  stateUsed,
  withGpu,
} from './options.ts';
import { Progress, type ProgressFlags } from './progress.ts';
import { classLines, eventJson, figure } from './training-log.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags
  extends DeviceFlags,
    WeightsFlags,
    GpuFlags,
    PrecisionFlags,
    StateFlags,
    InputShapeFlags,
    ProgressFlags {
  model: string;
  weights: string;
  iterations: number;
  augment?: string;
  apVersion?: ApVersion;
  perClass?: boolean;
  json?: boolean;
}

export function test(): Command {
  const command = new Command()
    .addOption(needed(own('modelWithData')))
    .addOption(needed(own('weights')))
    .addOption(flag('testNet', 'iterations', '--iterations <n>', 50))
    .addOption(own('gpu'))
    .addOption(flag('solverData', 'augment', '--augment <json>'))
    .addOption(flag('testNet', 'apVersion', '--ap-version <name>'))
    .addOption(flag('testNet', 'perClass', '--per-class'))
    .addOption(own('progress'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      '\nExample:\n  resnode test --model train_val.prototxt --weights net_iter_64000.caffemodel --iterations 100',
    );
  weightsOptions(command);
  return inputShapeOption(stateOptions(precisionOption(deviceOptions(command)))).action(
    async (flags: Flags) => {
      const net = readNetFile(flags.model);
      const filtered = filterNet(net, { phase: 'TEST', ...netState(flags) });
      const state = stateUsed(filtered);
      const detections = detectionOutputs(filtered);
      if (detections.length === 0) checkNoDetector(flags);
      const hdf5 = hdf5Outputs(filtered);
      checkHdf5Outputs(hdf5);
      await using device = await openFlagged(withGpu(flags));
      const source = await solverData(flags.model, flags.augment)(filtered, { phase: state.phase, seed: 1 });
      try {
        checkGivenShapes(flags.inputShape, source.shapes, 'the data has');
        await using model = await device.load({
          model: net,
          weights: flags.weights,
          ...matchOf(flags),
          precision: flags.precision,
          inputShapes: source.shapes,
          ...state,
          moreOutputs: hdf5Blobs(hdf5),
        });
        const progress = new Progress('batches', flags.iterations, flags);
        const begin = performance.now();
        const result = await testNet(model, source, {
          iterations: flags.iterations,
          detections,
          apVersion: flags.apVersion,
          perClass: flags.perClass,
          hdf5,
          filtered,
          lossWeights: lossWeightsOf({ filtered, state }, source),
          onBatch: (i, outputs) => {
            if (flags.json) progress.update(i + 1);
            else
              for (const { name, values } of outputs)
                for (const value of values) console.log(`Batch ${i}, ${name} = ${figure(value)}`);
            return true;
          },
        });
        progress.end();
        const { outputs, loss } = result!;
        const seconds = (performance.now() - begin) / 1000;
        if (flags.json) {
          console.log(eventJson({ iterations: flags.iterations, outputs, loss, seconds }));
          return;
        }
        console.log(`Loss: ${figure(loss)}`);
        for (const output of outputs) {
          const { name, values, lossWeight } = output;
          for (const line of classLines(output)) console.log(line);
          for (const value of values)
            console.log(
              `${name} = ${figure(value)}${lossWeight === 0 ? '' : ` (* ${figure(lossWeight)} = ${figure(lossWeight * value)} loss)`}`,
            );
        }
      } finally {
        await source.dispose();
      }
    },
  );
}

/** @throws ArgumentError for the flags of detectors */
function checkNoDetector({ apVersion, perClass }: Flags): void {
  const given = apVersion !== undefined ? '--ap-version' : perClass ? '--per-class' : null;
  if (given !== null)
    throw new ArgumentError(
      given,
      'none for a net without a DetectionEvaluate layer in this phase',
      apVersion ?? true,
      'add the layer, whose bottoms are those of the DetectionOutput and the label',
    );
}
