/** What segmenters answer with. */

/** How much of an image a class takes. */
export interface ClassArea {
  readonly label: string;
  /** Among the net's classes. */
  readonly index: number;
  readonly pixels: number;
  /** Of the image, from 0 to 1. */
  readonly share: number;
}

/** A class for every pixel. */
export interface ClassMap {
  readonly kind: 'classes';
  /** The image's own. */
  readonly width: number;
  readonly height: number;
  /** The class of each pixel, row by row. */
  readonly map: Uint8Array;
  /** Of the classes that occur, the largest first. */
  readonly areas: readonly ClassArea[];
}

/** How surely every pixel is an edge, or whatever else the net tells from the rest. */
export interface EdgeMap {
  readonly kind: 'edges';
  /** The image's own. */
  readonly width: number;
  readonly height: number;
  /** From 0 to 1, row by row. */
  readonly map: Float32Array;
}

export type Segmentation = ClassMap | EdgeMap;

/** The classes of a map by how much of it they take; of equal ones the first one first. */
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
