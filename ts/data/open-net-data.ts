/** Opens all data layers of a net as one source. */

import { DataError } from '../base/errors.ts';
import { having, record } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { mix } from '../base/random.ts';
import { type LayerParameter, type NetParameter, netParameter } from '../caffe/net-parameter.ts';
import type { DataLayerOptions } from './layer-context.ts';
import { DATA_LAYERS, dataRows, openDataLayer } from './open-data-layer.ts';
import type { Batch, DataSource, OpenedSource } from './source.ts';

export interface NetDataOptions extends Omit<DataLayerOptions, 'iterator'> {
  /** By the name of the layer, the iterator that makes its batches (Input, MemoryData). */
  readonly iterators?: Readonly<Record<string, AsyncIterable<Batch>>>;
}

const OPEN_NET_DATA = signature('openNetData', {
  net: required(netParameter, 'A net that is filtered for the phase.'),
  options: required(
    options<NetDataOptions>({
      ...dataRows,
      iterators: optional(
        record(having<AsyncIterable<Batch>>('an async iterable')),
        'none',
        'By the name of the layer, the iterator that makes its batches.',
      ),
    }),
    'How to read the data.',
  ),
});

/**
 * Opens every data layer of a net and merges their tops by name.
 * @param net A net that is filtered for the phase.
 * @throws DataError if there is no data layer, or one cannot be opened; layers that were opened are closed again
 */
export async function openNetData(net: NetParameter, options: NetDataOptions): Promise<OpenedSource> {
  OPEN_NET_DATA.check(net, options);
  const { iterators = {}, seed = 1, ...rest } = options;
  const layers = (net.layer ?? []).filter(({ type }) =>
    (DATA_LAYERS as readonly string[]).includes(type ?? ''),
  );
  const stray = Object.keys(iterators).find((name) => !layers.some((layer) => layer.name === name));
  if (stray !== undefined)
    throw new DataError(
      'data/layer',
      { layer: stray },
      'an iterator is given for it, but the net has no such data layer',
    );
  if (layers.length === 0)
    throw new DataError(
      'data/layer',
      {},
      `the net "${net.name ?? ''}" has no data layer in phase ${options.phase}`,
    );
  const sources: OpenedSource[] = [];
  try {
    for (const [i, layer] of layers.entries())
      sources.push(
        await openDataLayer(layer, {
          ...rest,
          seed: i === 0 ? seed : mix(seed, i),
          ...(Object.hasOwn(iterators, layer.name ?? '') ? { iterator: iterators[layer.name ?? '']! } : {}),
        }),
      );
  } catch (error) {
    await Promise.all(sources.map((source) => source.dispose()));
    throw error;
  }
  return sources.length === 1 ? sources[0]! : new MergedSource(layers, sources);
}

/** A top may be called __proto__, which an assignment would not turn into a property. */
const merged = <T>(parts: readonly Readonly<Record<string, T>>[]): Record<string, T> =>
  Object.fromEntries(parts.flatMap((part) => Object.entries(part)));

class MergedSource implements OpenedSource {
  readonly shapes: DataSource['shapes'];
  readonly epochSize: number | null;
  readonly #names: readonly string[];
  readonly #sources: readonly DataSource[];
  /** Batches that were taken from some sources when another one was not ready in time. */
  #taken: (Batch | undefined)[] = [];
  /** For each merged batch, the batches that it consists of. */
  readonly #parts = new WeakMap<Batch, readonly Batch[]>();
  readonly recycle?: (batch: Batch) => void;
  /** The state after the last whole batch; batches taken since then do not count. */
  #state: Record<string, unknown>;
  #waited = 0;

  constructor(layers: readonly LayerParameter[], sources: readonly DataSource[]) {
    this.#names = layers.map(({ name }) => name ?? '');
    this.#sources = sources;
    this.#state = this.#statesNow();
    if (sources.every(({ recycle }) => recycle !== undefined)) this.recycle = (batch) => this.#recycle(batch);
    this.shapes = merged(sources.map(({ shapes }) => shapes));
    this.epochSize = sources.find(({ epochSize }) => epochSize !== null)?.epochSize ?? null;
  }

  get waited(): number {
    return this.#waited;
  }

  async next(signal?: AbortSignal): Promise<Batch> {
    const begin = performance.now();
    try {
      const results = await Promise.allSettled(
        this.#sources.map(async (source, i) => {
          this.#taken[i] ??= await source.next(signal);
        }),
      );
      const failed = results.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
      if (failed !== undefined) throw failed.reason;
      this.#state = this.#statesNow();
      const parts = this.#taken.splice(0) as Batch[];
      const batch: Batch = merged(parts);
      this.#parts.set(batch, parts);
      return batch;
    } finally {
      this.#waited += performance.now() - begin;
    }
  }

  #recycle(batch: Batch): void {
    const parts = this.#parts.get(batch);
    if (parts === undefined)
      throw new DataError('data/batch', {}, 'recycle() takes a batch that next() returned');
    for (const [i, part] of parts.entries()) this.#sources[i]!.recycle!(part);
  }

  async nameOf(batch: Batch, sample: number, label?: number): Promise<string | null> {
    for (const [i, part] of (this.#parts.get(batch) ?? []).entries()) {
      const name = await this.#sources[i]!.nameOf?.(part, sample, label);
      if (name != null) return name;
    }
    return null;
  }

  state(): unknown {
    return this.#state;
  }

  restore(state: unknown): void {
    const states = (state ?? {}) as Record<string, unknown>;
    this.#sources.forEach((source, i) => {
      source.restore(states[this.#names[i]!]);
    });
    this.#state = this.#statesNow();
  }

  #statesNow(): Record<string, unknown> {
    return Object.fromEntries(this.#sources.map((source, i) => [this.#names[i], source.state()]));
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.dispose()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
