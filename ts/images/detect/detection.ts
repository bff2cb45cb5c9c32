/** The results of detectors. */
import type { Box } from '../geometry.ts';

/** An object that a detector found. */
export interface Detection {
  readonly label: string;
  /** The index of the class. */
  readonly index: number;
  /** From 0 to 1. */
  readonly score: number;
  readonly box: Box;
}

/** A detection whose class has no name yet. */
export type Found = Omit<Detection, 'label'>;
