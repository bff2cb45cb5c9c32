/** What detectors answer with. */
import type { Box } from '../geometry.ts';

/** An object that was found. */
export interface Detection {
  readonly label: string;
  /** Of its class among the net's. */
  readonly index: number;
  /** From 0 to 1. */
  readonly score: number;
  readonly box: Box;
}

/** A detection whose class has no name yet. */
export type Found = Omit<Detection, 'label'>;
