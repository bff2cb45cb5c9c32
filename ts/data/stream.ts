/** What is to be read for one data layer, and in which order. */
import type { Description, ListedImage, ReaderSpec } from './reader.ts';

export interface Stream {
  /** The layer's name, for errors. */
  readonly layer: string;
  readonly reader: ReaderSpec;
  /** Samples a batch; 1 where a sample is a whole batch (DummyData). */
  readonly batch: number;
  /** Whether the shapes that a reader describes lack the batch. */
  readonly batched: boolean;
  /** Samples until they begin again, from what the reader found; null: never. */
  count(description: Description): number | null;
  /** The order of an epoch; null: as they come. */
  readonly order: ((epoch: number, seed: number, description: Description) => Promise<Uint32Array>) | null;
  /** Samples that are passed over at the start. */
  skip(seed: number): number;
  /** Every `ranks`th sample, or batch, is read, from the `rank`th on. */
  readonly rank: number;
  readonly ranks: number;
  readonly share: 'samples' | 'batches';
  /** The line of an image list. */
  readonly images: readonly ListedImage[] | null;
  readonly workers: number | null;
}
