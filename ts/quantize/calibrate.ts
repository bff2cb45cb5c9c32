/** Measures the ranges of a net's values on some images, so that it can run in int8. */

import { setImmediate } from 'node:timers/promises';
import { ArgumentError, GraphError } from '../base/errors.ts';
import { callback, iterable, number, oneOf, signal } from '../base/kinds.ts';
import { optional, options, optionsOf, required, signature } from '../base/options.ts';
import { type NetParameter, netParameter } from '../caffe/net-parameter.ts';
import { calibratedNames } from '../compile/calibrated-values.ts';
import { type Calibration, type CalibrationMethod, calibrationOf } from '../compile/calibration.ts';
import { type Device, deviceLike, type LoadOptions } from '../device/device.ts';
import { loadRows } from '../device/load-options.ts';
import type { Inputs } from '../device/tensor.ts';
import { graphFromCaffe, graphOptions } from '../graph/from-caffe.ts';
import type { Graph } from '../graph/graph.ts';
import { chooseRange, MagnitudeHistogram } from './value-ranges.ts';

export interface CalibrateOptions {
  /** Default `entropy`. */
  readonly method?: CalibrationMethod;
  /** For the method `percentile`: the percentage of values that are not clamped, between 50 and 100. Default 99.99. */
  readonly percentile?: number;
  /** Called after each run with the number of images done. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

const CALIBRATE = signature('calibrate', {
  device: required(deviceLike, 'A device of openDevice.'),
  load: required(
    options<Omit<LoadOptions, 'outputs'> & { readonly model: NetParameter }>({
      ...loadRows,
      model: required(netParameter, 'The net.'),
    }),
    'The net, and options of device.load.',
  ),
  inputs: required(
    iterable<AsyncIterable<Inputs> | Iterable<Inputs>>('inputs'),
    'The inputs, one entry per run.',
  ),
  options: optional(
    options<CalibrateOptions>({
      method: optional(
        oneOf('min-max', 'percentile', 'entropy'),
        'entropy',
        'The method that chooses the ranges.',
      ),
      percentile: optional(
        number({ above: 50, to: 100 }),
        '99.99',
        'The percentile of the method percentile.',
      ),
      onProgress: optional(callback<(done: number) => void>(), 'none', 'Called after each run.'),
      signal: optional(signal, 'none', "Aborts it; the promise rejects with the signal's reason."),
    }),
    'none',
    'How to choose the ranges.',
  ),
});

/**
 * Runs a net in float32 on some inputs (a hundred images suffice for a ResNet) and chooses the range of each blob that int8
 * convolutions read or write: the largest magnitude, a percentile, or the range with the least loss of information. A net's
 * input has no range: the first layer uses more levels than 8 bits have, by the range of each image, or stays float32.
 * @param inputs One entry per run, as for `model.run`.
 * @throws ArgumentError; GraphError if the net has no convolutions that could run in int8; the errors of loading and running
 * @example saveCalibration('calibration.json', await calibrate(device, { model, weights }, batches));
 */
export async function calibrate(
  device: Device,
  load: Omit<LoadOptions, 'outputs'> & { readonly model: NetParameter },
  inputs: AsyncIterable<Inputs> | Iterable<Inputs>,
  options: CalibrateOptions = {},
): Promise<Calibration> {
  CALIBRATE.check(device, load, inputs, options);
  const { method = 'entropy', percentile = 99.99, onProgress, signal } = options;
  const histograms = new Map(
    quantizable(graphFromCaffe(load.model, optionsOf(graphOptions, load))).map((name) => [
      name,
      new MagnitudeHistogram(),
    ]),
  );
  await using model = await device.load({
    ...load,
    precision: 'float32',
    outputs: [...histograms.keys()],
  });
  const [input] = Object.keys(model.inputs);
  let images = 0;
  for await (const each of inputs) {
    const outputs = await model.run(each, signal === undefined ? {} : { signal });
    for (const [name, { data }] of Object.entries(outputs)) {
      try {
        histograms.get(name)!.add(data);
      } catch (error) {
        throw new ArgumentError('inputs', `such that "${name}" is finite`, (error as Error).message);
      }
      await setImmediate();
    }
    images += Object.values(outputs)[0]!.shape[0]!;
    onProgress?.(images);
  }
  if (images === 0) throw new ArgumentError('inputs', `at least one "${input}"`, 'none');
  const ranges = new Map<string, number>();
  for (const [name, histogram] of histograms) {
    ranges.set(name, chooseRange(histogram, method, percentile));
    await setImmediate();
  }
  return calibrationOf({
    net: load.model.name ?? '',
    method,
    percentile: method === 'percentile' ? percentile : null,
    images,
    ranges: Object.fromEntries(ranges),
  });
}

function quantizable(written: Graph): string[] {
  const names = calibratedNames(written);
  if (names.length > 0) return names;
  throw new GraphError('calibrate/no-convolutions', {}, 'the net has no convolutions that could run in int8');
}
