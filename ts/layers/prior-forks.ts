/** Boxes of forks whose PriorBox has more of them for each cell than SSD's: FaceBoxes, twice, and TextBoxes. */
import type { LayerParameter } from '../caffe/net-parameter.ts';

/** A box around a cell, in pixels. Its centre is at x and y from the cell's. */
export interface Box {
  readonly width: number;
  readonly height: number;
  readonly x: number;
  readonly y: number;
}

export type PriorFork = 'FaceBoxes' | 'TextBoxes';

interface Ratios {
  readonly aspect_ratio?: readonly number[];
  readonly flip?: boolean;
  readonly keras?: boolean;
}

/** The ratios other than 1, each once and followed by its inverse. In Keras's order all inverses follow all ratios. */
export function ratiosOf({ aspect_ratio: given = [], flip = true, keras = false }: Ratios): number[] {
  const ratios = [1];
  const isNew = (ratio: number) => !ratios.some((known) => Math.abs(known - ratio) < 1e-6);
  for (const ratio of given) if (isNew(ratio)) ratios.push(ratio, ...(flip && !keras ? [1 / ratio] : []));
  if (flip && keras) for (const ratio of given) if (isNew(1 / ratio)) ratios.push(1 / ratio);
  return ratios.slice(1);
}

/** FaceBoxes (arXiv:1708.05234, section 3.3): the sizes whose centres form a square grid in the cell, and its side. */
const GRIDS: ReadonlyMap<number, number> = new Map([
  [32, 4],
  [64, 2],
]);
/** The three sizes of its first map, which have 16, 4 and 1 boxes. */
const FACE_SIZES = [32, 64, 128];

export const isFaceSizes = (sizes: readonly number[]): boolean =>
  sizes.every((size) => !GRIDS.has(size)) || String(sizes) === String(FACE_SIZES);

/**
 * prior_box_layer.cpp of sfzhang15/FaceBoxes: the boxes are a pixel smaller than their size, and those of 32 and 64 stand
 * 8 and 16 pixels apart.
 */
export function denseSquares(sizes: readonly number[]): Box[] {
  return sizes.flatMap((size) => {
    const side = GRIDS.get(size) ?? 1;
    const places = Array.from({ length: side }, (_, i) => (i - Math.floor(side / 2)) * (32 / side));
    return places.flatMap((y) => places.map((x) => ({ width: size - 1, height: size - 1, x, y })));
  });
}

/**
 * prior_box_layer.cpp of zihaozhang9/FaceBoxes, for one `fixed_size`: a square grid of `density` boxes along each side for
 * the square and for each ratio. Distances are whole pixels.
 */
export function denseBoxes(
  size: number,
  density: number,
  isSquared: boolean,
  ratios: readonly number[],
): Box[] {
  const whole = Math.trunc(size);
  const side = Math.trunc(density);
  const shift = Math.trunc(size / side);
  const places = Array.from({ length: side }, (_, i) => shift / 2 + i * shift - Math.trunc(whole / 2));
  const extents = ratios.map((ratio) => [size * Math.sqrt(ratio), size / Math.sqrt(ratio)] as const);
  return [...(isSquared ? [[whole, whole] as const] : []), ...extents].flatMap(([width, height]) =>
    places.flatMap((y) => places.map((x) => ({ width, height, x, y }))),
  );
}

/**
 * prior_box_layer.cpp of MhLiao/TextBoxes (arXiv:1611.06779): each box is followed by one whose centre is at the lower edge of
 * the cell.
 */
export const twice = (boxes: readonly Box[], down: number): Box[] =>
  boxes.flatMap((box) => [box, { ...box, y: box.y + down }]);

/**
 * Which fork's boxes a net has. PriorBox has SSD's fields in both forks; the convolutions of a map, which have four channels
 * for the place of each box and one for each class, show how many boxes its cells have.
 */
export function priorForkOf(layers: readonly LayerParameter[]): PriorFork | undefined {
  const classes = layers
    .map(({ detection_output_param: out, multibox_loss_param: loss }) => (out ?? loss)?.num_classes)
    .find((count) => typeof count === 'number');
  if (classes === undefined) return undefined;
  for (const { type, bottom: [map] = [], prior_box_param: param } of layers) {
    if (type !== 'PriorBox' || param === undefined) continue;
    const { min_size: sizes = [], max_size: most = [] } = param as Record<string, readonly number[]>;
    const boxes = sizes.length * (1 + ratiosOf(param).length) + most.length;
    const channels = layers
      .filter((layer) => layer.type === 'Convolution' && layer.bottom?.[0] === map)
      .map((layer) => layer.convolution_param?.num_output);
    const has = (times: number) =>
      channels.includes(4 * boxes * times) && channels.includes(classes * boxes * times);
    if (boxes === 0 || has(1)) continue;
    if (boxes === 3 && String(sizes) === String(FACE_SIZES) && has(7)) return 'FaceBoxes';
    if (has(2)) return 'TextBoxes';
  }
  return undefined;
}
