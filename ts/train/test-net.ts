/** A net run over the batches of its data, outputs averaged: Solver::Test in solver.cpp, test() in caffe.cpp. */
import { callback, having, integer, number, record, signal } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { type DataSource, dataSource } from '../data/source.ts';
import type { Model, Outputs } from '../device/model.ts';
import type { OutputValue } from './events.ts';

const { fround } = Math;

export interface TestOptions {
  readonly iterations: number;
  /** Output → loss_weight; others are no loss. */
  readonly lossWeights: Readonly<Record<string, number>>;
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch with its outputs. `false` interrupts the test. */
  readonly onBatch?: (index: number, outputs: readonly OutputValue[]) => boolean | Promise<boolean>;
}

/** Means over all batches, each output's elements apart. */
export interface TestResult {
  readonly outputs: readonly OutputValue[];
  /** Mean weighted loss. */
  readonly loss: number;
}

const TEST_NET = signature('testNet', {
  model: required(having<Pick<Model, 'run'>>('a Model of device.load', 'run'), 'The net.'),
  source: required(dataSource, 'Its batches.'),
  options: required(
    options<TestOptions>({
      iterations: required(integer(1), 'How many batches.'),
      lossWeights: required(record(number()), 'Output → loss_weight.'),
      signal: optional(signal, 'none', 'Ends it with its reason thrown.'),
      onBatch: optional(callback<NonNullable<TestOptions['onBatch']>>(), 'none', 'Called after each batch.'),
    }),
    'How many.',
  ),
});

/**
 * Runs a model over the next batches of a source.
 * @returns Null where `onBatch` interrupted it.
 * @throws as Model.run and the source; the signal's reason
 */
export async function testNet(
  model: Pick<Model, 'run'>,
  source: DataSource,
  options: TestOptions,
): Promise<TestResult | null> {
  TEST_NET.check(model, source, options);
  const { iterations, lossWeights, signal, onBatch } = options;
  let sums: OutputValue[] = [];
  let loss = 0;
  for (let i = 0; i < iterations; i++) {
    signal?.throwIfAborted();
    const batch = await source.next(signal);
    const result = await model.run(batch, {
      ...(signal === undefined ? {} : { signal }),
      copyInputs: source.recycle === undefined,
    });
    source.recycle?.(batch);
    const outputs = outputValues(result, lossWeights);
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
  return { outputs: sums.map((sum) => ({ ...sum, values: sum.values.map(mean) })), loss: mean(loss) };
}

/** Outputs as events carry them. */
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
