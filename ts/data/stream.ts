/** The data of one data layer, and its order. */
import type { Description, ListedImage, ReaderSpec } from './reader.ts';

export interface Stream {
  /** The name of the layer, for errors. */
  readonly layer: string;
  readonly reader: ReaderSpec;
  /** The number of samples per batch; 1 if a sample is a whole batch (DummyData). */
  readonly batch: number;
  /** Whether the shapes that a reader describes lack the batch dimension. */
  readonly batched: boolean;
  /** The number of samples until they repeat, from the reader's description; null if they never do. */
  count(description: Description): number | null;
  /** The order of an epoch; null for the data's own order. */
  readonly order: ((epoch: number, seed: number, description: Description) => Promise<Uint32Array>) | null;
  /** The number of samples that are skipped at the start. */
  skip(seed: number): number;
  /** This process reads every `ranks`th sample, or batch, from the `rank`th on. */
  readonly rank: number;
  readonly ranks: number;
  readonly share: 'samples' | 'batches';
  /** The lines of an image list. */
  readonly images: readonly ListedImage[] | null;
  readonly workers: number | null;
}
