/** The results of segmenters. */

/** The area of a class in an image. */
export interface ClassArea {
  readonly label: string;
  /** The index of the class. */
  readonly index: number;
  readonly pixels: number;
  /** The share of the image, from 0 to 1. */
  readonly share: number;
}

/** A class for every pixel. */
export interface ClassMap {
  readonly kind: 'classes';
  /** The width of the image. */
  readonly width: number;
  readonly height: number;
  /** The class of each pixel, row by row. */
  readonly map: Uint8Array;
  /** The classes that occur, the largest area first. */
  readonly areas: readonly ClassArea[];
}

/** The certainty that each pixel is an edge, or whatever else the net separates from the rest. */
export interface EdgeMap {
  readonly kind: 'edges';
  /** The width of the image. */
  readonly width: number;
  readonly height: number;
  /** From 0 to 1, row by row. */
  readonly map: Float32Array;
}

export type Segmentation = ClassMap | EdgeMap;

/** The classes of a map by area; among equal areas the lower index comes first. */
export function areasOf(map: Uint8Array, labels: readonly string[]): ClassArea[] {
  const counts = new Float64Array(256);
  for (const index of map) counts[index]!++;
  return [...counts]
    .map((pixels, index) => ({
      label: labels[index] ?? `class ${index}`,
      index,
      pixels,
      share: pixels / map.length,
    }))
    .filter(({ pixels }) => pixels > 0)
    .sort((a, b) => b.pixels - a.pixels || a.index - b.index);
}
