/** Parts of a model, from one layer to another, each loaded when it first runs. */
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { Graph } from '../graph/graph.ts';
import { type LayerRange, type NetPart, partOf } from '../graph/net-between.ts';

/** What of a Model a part needs. */
interface LoadedPart {
  dispose(): void;
}

interface OpenPart<M extends LoadedPart> {
  readonly model: M;
  /** Runs that have not settled. */
  readonly running: Set<Promise<unknown>>;
}

interface NetPartsParts<M extends LoadedPart> {
  readonly net: NetParameter;
  /** Of the net, as written. */
  readonly graph: Graph;
  /** Names of the model's outputs. */
  readonly outputs: readonly string[];
  readonly load: (part: NetPart, weights: WeightsFile) => Promise<M>;
  readonly weights: () => Promise<WeightsFile>;
}

export class NetParts<M extends LoadedPart> {
  readonly #parts: NetPartsParts<M>;
  readonly #open = new Map<string, Promise<OpenPart<M>>>();

  constructor(parts: NetPartsParts<M>) {
    this.#parts = parts;
  }

  /**
   * Begins a run of a part, loading it where it is not there yet.
   * @param run Begins it at its call.
   * @returns The run in a box, so that awaiting the box does not await the run.
   * @throws ArgumentError; what loading throws
   */
  async begin<T>(range: LayerRange, run: (model: M) => Promise<T>): Promise<{ readonly result: Promise<T> }> {
    const { model, running } = await this.#partOf(range);
    const result = run(model);
    const settled = result.then(
      () => {},
      () => {},
    );
    running.add(settled);
    void settled.then(() => running.delete(settled));
    return { result };
  }

  /** Gives all parts up behind their runs: the next run of each loads it again, with the weights of then. */
  forget(): void {
    for (const opening of this.#open.values())
      void opening.then(
        async ({ model, running }) => {
          await Promise.all(running);
          model.dispose();
        },
        () => {},
      );
    this.#open.clear();
  }

  #partOf({ start, end }: LayerRange): Promise<OpenPart<M>> {
    const { net, graph, outputs, load, weights } = this.#parts;
    const key = JSON.stringify([start, end]);
    let opening = this.#open.get(key);
    if (opening === undefined) {
      const part = partOf(net, graph, { start, end }, outputs);
      opening = weights()
        .then((current) => load(part, current))
        .then((model) => ({ model, running: new Set<Promise<unknown>>() }));
      this.#open.set(key, opening);
      opening.catch(() => this.#open.delete(key));
    }
    return opening;
  }
}
