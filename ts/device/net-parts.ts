/** Parts of a model, from one layer to another; each is loaded when it first runs. */
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { Graph } from '../graph/graph.ts';
import { type LayerRange, type NetPart, partOf } from '../graph/net-between.ts';

/** The methods of a Model that a part needs. */
interface LoadedPart {
  dispose(): void;
}

interface OpenPart<M extends LoadedPart> {
  readonly model: M;
  /** The runs that have not settled. */
  readonly running: Set<Promise<unknown>>;
}

interface NetPartsParts<M extends LoadedPart> {
  readonly net: NetParameter;
  /** The graph of the net before any passes. */
  readonly graph: Graph;
  /** The names of the model's outputs. */
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
   * Starts a run of a part, and loads the part if necessary.
   * @param run Starts the run when called.
   * @returns The run in an object, so that awaiting the object does not await the run.
   * @throws ArgumentError; the errors of loading
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

  /** Drops all parts after their runs; the next run loads each part again, with the weights of that time. */
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
