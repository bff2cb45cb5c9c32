/**
 * Runs a net over the batches of its data and averages its outputs: Solver::Test in solver.cpp, test() in caffe.cpp.
 */
import {
  anything,
  boolean,
  callback,
  having,
  integer,
  type Kind,
  list,
  number,
  oneOf,
  record,
  signal,
  string,
} from '../base/kinds.ts';
import { internal, optional, options, required, signature } from '../base/options.ts';
import { AP_VERSIONS, type ApVersion } from '../caffe/check-solver.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { Hdf5Files } from '../data/hdf5-output.ts';
import { type DataSource, dataSource } from '../data/source.ts';
import type { Model, Outputs } from '../device/model.ts';
import { type Hdf5Output, hdf5Blobs } from '../layers/sinks.ts';
import { DetectionRows, meanPrecision } from './detection-precision.ts';
import type { OutputValue } from './events.ts';
import { explainLabel } from './wrong-label.ts';

const { fround } = Math;

export interface TestOptions {
  readonly iterations: number;
  /** Output → loss_weight; outputs that are absent are not losses. */
  readonly lossWeights: Readonly<Record<string, number>>;
  /**
   * Outputs that are rows of a DetectionEvaluate; each becomes a mean average precision over all batches. Default:
   * none.
   */
  readonly detections?: readonly string[];
  /** The method for average precision: `11point` (VOC 2007), `MaxIntegral` (VOC 2010), or `Integral`, the default. */
  readonly apVersion?: ApVersion;
  /** Also returns the average precision of each class: SSD's show_per_class_result. Default false. */
  readonly perClass?: boolean;
  /**
   * HDF5Output layers of the net, whose files are rewritten: `hdf5Outputs(net)`; the model returns their blobs.
   * @internal
   */
  readonly hdf5?: readonly Hdf5Output[];
  /**
   * The filtered net, whose data layers help to find an invalid label.
   * @internal
   */
  readonly filtered?: NetParameter;
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch with its outputs. `false` interrupts the test. */
  readonly onBatch?: (index: number, outputs: readonly OutputValue[]) => boolean | Promise<boolean>;
}

/** Means over all batches, for each element of an output. */
export interface TestResult {
  readonly outputs: readonly OutputValue[];
  /** Mean weighted loss. */
  readonly loss: number;
}

const TEST_NET = signature('testNet', {
  model: required(having<Pick<Model, 'run'>>('a Model of device.load', 'run'), 'The net to test.'),
  source: required(dataSource, 'The source of its batches.'),
  options: required(
    options<TestOptions>({
      iterations: required(integer(1), 'The number of batches.'),
      lossWeights: required(record(number()), 'The loss_weight of each output.'),
      detections: optional(list(string), 'none', 'The outputs of DetectionEvaluate layers.'),
      apVersion: optional(
        oneOf(...AP_VERSIONS),
        'Integral',
        "How a detector's precision is averaged: over 11 recalls (VOC 2007), as the area under the monotonic curve (VOC 2010), or as the area under the raw curve.",
      ),
      perClass: optional(boolean, 'false', "Also reports a detector's average precision for each class."),
      hdf5: internal<readonly Hdf5Output[]>(anything as Kind<readonly Hdf5Output[]>),
      filtered: internal<NetParameter>(anything as Kind<NetParameter>),
      signal: optional(signal, 'none', "Aborts it; the promise rejects with the signal's reason."),
      onBatch: optional(callback<NonNullable<TestOptions['onBatch']>>(), 'none', 'Called after each batch.'),
    }),
    'How to test.',
  ),
});

/**
 * Runs a model over the next batches of a source.
 * @returns Null if `onBatch` interrupted it.
 * @throws as Model.run and the source; the signal's reason
 */
export async function testNet(
  model: Pick<Model, 'run'>,
  source: DataSource,
  options: TestOptions,
): Promise<TestResult | null> {
  TEST_NET.check(model, source, options);
  const files = await Hdf5Files.open(options.hdf5 ?? []);
  try {
    const result = await tested(model, source, options, files);
    if (result !== null) await files.finish();
    return result;
  } finally {
    await files.abandon();
  }
}

async function tested(
  model: Pick<Model, 'run'>,
  source: DataSource,
  options: TestOptions,
  files: Hdf5Files,
): Promise<TestResult | null> {
  const { iterations, lossWeights, detections = [], apVersion = 'Integral', signal, onBatch } = options;
  const { hdf5 = [], perClass = false, filtered = {} } = options;
  const hidden = new Set([...detections, ...hdf5Blobs(hdf5)]);
  const rows = new Map(detections.map((name) => [name, new DetectionRows()]));
  let sums: OutputValue[] = [];
  let loss = 0;
  for (let i = 0; i < iterations; i++) {
    signal?.throwIfAborted();
    const batch = await source.next(signal);
    const result = await model
      .run(batch, {
        ...(signal === undefined ? {} : { signal }),
        copyInputs: source.recycle === undefined,
      })
      .catch(async (error) => {
        throw await explainLabel(error, filtered, source, batch);
      });
    source.recycle?.(batch);
    for (const [name, found] of rows) found.add(result[name]!);
    await files.add(result);
    const outputs = outputValues(
      result,
      lossWeights,
      Object.keys(result).filter((name) => !hidden.has(name)),
    );
    loss = fround(loss + weightedLoss(outputs));
    sums =
      i === 0
        ? outputs
        : sums.map((sum, j) => ({
            ...sum,
            values: sum.values.map((value, k) => fround(value + outputs[j]!.values[k]!)),
          }));
    if (onBatch !== undefined && !(await onBatch(i, outputs))) return null;
  }
  const mean = (value: number) => fround(value / iterations);
  const precisions = [...rows].map(([name, found]) => {
    const classes = found.precisions(apVersion);
    return { name, values: [meanPrecision(classes)], lossWeight: 0, ...(perClass ? { classes } : {}) };
  });
  const means = sums.map((sum) => ({ ...sum, values: sum.values.map(mean) }));
  return { outputs: [...means, ...precisions], loss: mean(loss) };
}

/** The outputs of a net that are rows of DetectionEvaluate layers. */
export const detectionOutputs = ({ layer = [] }: NetParameter): string[] =>
  layer.filter(({ type }) => type === 'DetectionEvaluate').flatMap(({ top = [] }) => top);

/** Outputs in the form of events. */
export function outputValues(
  outputs: Outputs,
  lossWeights: Readonly<Record<string, number>>,
  names: readonly string[] = Object.keys(outputs),
): OutputValue[] {
  return names.map((name) => ({
    name,
    values: [...outputs[name]!.data],
    lossWeight: Object.hasOwn(lossWeights, name) ? lossWeights[name]! : 0,
  }));
}

/** The sum of weighted losses, in float32. */
export function weightedLoss(outputs: readonly OutputValue[]): number {
  return outputs.reduce(
    (sum, { values, lossWeight }) =>
      lossWeight === 0
        ? sum
        : values.reduce((inner, value) => fround(inner + fround(lossWeight * value)), sum),
    0,
  );
}
