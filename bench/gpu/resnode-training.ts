/** resnode's training step as an engine of bench/gpu.ts. Input and labels are on the GPU, as torch's are. */

import { SGD_UPDATE } from '../../ts/device/plan-training.ts';
import type { Device, DeviceBuffer, Trainer } from '../../ts/index.ts';
import { asTraining } from '../../ts/tools/bench/nets.ts';
import { COMPARED_STEPS, makeInput, makeLabels, type Net, type Precision, RATE } from './case.ts';
import { allAtOnce, type Engine, oneByOne } from './measure.ts';
import { countImplementations, type OperationTime, timeOperations } from './resnode.ts';

export class ResnodeTraining implements Engine {
  readonly name = 'resnode';
  readonly #trainer: Trainer;
  readonly #inputs: Readonly<Record<string, DeviceBuffer>>;
  readonly #first = new Float32Array(COMPARED_STEPS);
  #iteration = 0;

  private constructor(trainer: Trainer, inputs: Readonly<Record<string, DeviceBuffer>>) {
    this.#trainer = trainer;
    this.#inputs = inputs;
  }

  static async load(device: Device, { net, weights }: Net, batch: number, precision: Precision) {
    const { net: model } = asTraining({ name: net.name!, net, input: [3, 224, 224] });
    const trainer = await device.train({ model, weights, batch, precision, update: SGD_UPDATE });
    const data = await device.buffer({ shape: [batch, 3, 224, 224] });
    const label = await device.buffer({ shape: [batch] });
    await data.upload(makeInput(batch));
    await label.upload(makeLabels(batch));
    const training = new ResnodeTraining(trainer, { data, label });
    for (let i = 0; i < COMPARED_STEPS; i++) training.#first[i] = await training.#step();
    return training;
  }

  /** The losses of the first steps. */
  async output(): Promise<Float32Array> {
    return this.#first;
  }

  async latency(runs: number): Promise<number[]> {
    return oneByOne(() => this.#step(), runs);
  }

  async throughput(runs: number): Promise<number[]> {
    return [await allAtOnce(() => this.#step(), runs)];
  }

  async skippedUpdates(): Promise<number> {
    return this.#trainer.skippedUpdates;
  }

  /** The time of each operation of a step: the forward pass, then gradients and update. */
  async operations(): Promise<OperationTime[]> {
    return timeOperations(this.#trainer.plan(), () => this.#trainer.time(this.#inputs, this.#schedule()));
  }

  get implementations(): Readonly<Record<string, number>> {
    return countImplementations(this.#trainer.plan());
  }

  [Symbol.dispose](): void {
    this.#trainer.dispose();
    for (const buffer of Object.values(this.#inputs)) buffer.dispose();
  }

  async #step(): Promise<number> {
    return (await this.#trainer.step(this.#inputs, this.#schedule())).loss!.data[0]!;
  }

  #schedule() {
    return { rate: RATE, iteration: this.#iteration++ };
  }
}
