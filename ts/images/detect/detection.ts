/** What detectors answer with. */

/** A rectangle in an image's own pixels, from its left and top edges. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

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
