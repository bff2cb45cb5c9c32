/** resnode as an engine of bench/gpu.ts: a model on a device, with its input on the device, as torch's is. */

import type { Device, DeviceBuffer, Model, ModelPlan } from '../../ts/index.ts';
import { calibrate } from '../../ts/quantize/calibrate.ts';
import { median } from '../../ts/tools/bench/statistics.ts';
import { type ForwardPrecision, makeInput, type Net } from './case.ts';
import { allAtOnce, type Engine, oneByOne } from './measure.ts';

const WARM_UP = 5;

/** How many operations each implementation computes. */
export function countImplementations({ operations }: ModelPlan): Readonly<Record<string, number>> {
  const names = operations.map(({ implementation }) => implementation);
  return Object.fromEntries(
    [...new Set(names)].map((name) => [name, names.filter((each) => each === name).length]),
  );
}

/** An operation of a run or step that was launched operation by operation. */
export interface OperationTime {
  readonly layer: string;
  readonly implementation: string;
  /** The median of several runs. */
  readonly milliseconds: number;
}

/** The results of several calls of `model.time` or `trainer.time`. */
export async function timeOperations(
  { operations }: ModelPlan,
  time: () => Promise<readonly { readonly layer: string; readonly milliseconds: number }[]>,
  runs = 5,
): Promise<OperationTime[]> {
  const all: Awaited<ReturnType<typeof time>>[] = [];
  for (let i = 0; i < runs; i++) all.push(await time());
  return operations.map(({ layer, implementation }, i) => ({
    layer,
    implementation,
    milliseconds: median(all.map((each) => each[i]!.milliseconds)),
  }));
}

export class ResnodeRun implements Engine {
  readonly name = 'resnode';
  readonly #model: Model;
  readonly #input: DeviceBuffer;

  private constructor(model: Model, input: DeviceBuffer) {
    this.#model = model;
    this.#input = input;
  }

  static async load(device: Device, { net, weights }: Net, batch: number, precision: ForwardPrecision) {
    const load = { model: net, weights };
    const quantised =
      precision === 'int8'
        ? {
            calibration: await calibrate(device, { ...load, tune: false }, [{ data: makeInput(1) }], {
              method: 'min-max',
            }),
          }
        : {};
    const model = await device.load({ ...load, ...quantised, batch, precision });
    const input = await device.buffer({ shape: [batch, 3, 224, 224] });
    await input.upload(makeInput(batch));
    const run = new ResnodeRun(model, input);
    for (let i = 0; i < WARM_UP; i++) await run.output();
    return run;
  }

  async output(): Promise<Float32Array> {
    return (await this.#model.run({ data: this.#input })).prob!.data;
  }

  async latency(runs: number): Promise<number[]> {
    return oneByOne(() => this.output(), runs);
  }

  async throughput(runs: number): Promise<number[]> {
    return [await allAtOnce(() => this.output(), runs)];
  }

  /** The time of each operation, in the order of the plan. */
  async operations(): Promise<OperationTime[]> {
    return timeOperations(this.#model.plan(), () => this.#model.time({ data: this.#input }));
  }

  get implementations(): Readonly<Record<string, number>> {
    return countImplementations(this.#model.plan());
  }

  [Symbol.dispose](): void {
    this.#input.dispose();
    this.#model.dispose();
  }
}
