/** resnode as an engine of bench/gpu.ts: a model on a device, and its input already there, as torch has it. */
import type { Device, DeviceBuffer, Model, ModelPlan } from '../../ts/index.ts';
import { makeInput, type Net, type Precision } from './case.ts';
import { allAtOnce, type Engine, oneByOne } from './measure.ts';

const WARM_UP = 5;

/** How many operations each implementation computes. */
export function countImplementations({ operations }: ModelPlan): Readonly<Record<string, number>> {
  const names = operations.map(({ implementation }) => implementation);
  return Object.fromEntries(
    [...new Set(names)].map((name) => [name, names.filter((each) => each === name).length]),
  );
}

export class ResnodeRun implements Engine {
  readonly name = 'resnode';
  readonly #model: Model;
  readonly #input: DeviceBuffer;

  private constructor(model: Model, input: DeviceBuffer) {
    this.#model = model;
    this.#input = input;
  }

  static async load(device: Device, { net, weights }: Net, batch: number, precision: Precision) {
    const model = await device.load({ model: net, weights, batch, precision });
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

  get implementations(): Readonly<Record<string, number>> {
    return countImplementations(this.#model.plan());
  }

  [Symbol.dispose](): void {
    this.#input.dispose();
    this.#model.dispose();
  }
}
