/** Caffe's running mean of the loss (UpdateSmoothedLoss in solver.cpp), in its float32. */
const { fround } = Math;

export class SmoothedLoss {
  readonly #size: number;
  readonly #losses: number[] = [];
  #next = 0;
  #value = 0;

  /** @param averageLoss The number of iterations: average_loss. */
  constructor(averageLoss: number) {
    this.#size = averageLoss;
  }

  /** Adds the loss of an iteration and returns the mean of the last `average_loss` ones. */
  add(loss: number): number {
    const losses = this.#losses;
    if (losses.length < this.#size) {
      losses.push(loss);
      const sum = fround(fround(this.#value * (losses.length - 1)) + loss);
      this.#value = fround(sum / losses.length);
    } else {
      const change = fround(loss - losses[this.#next]!);
      this.#value = fround(this.#value + fround(change / this.#size));
      losses[this.#next] = loss;
      this.#next = (this.#next + 1) % this.#size;
    }
    return this.#value;
  }
}
