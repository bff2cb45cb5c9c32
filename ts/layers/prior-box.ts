/** PriorBox, SSD's boxes around the cells of a map (github.com/weiliu89/caffe, branch ssd; arXiv:1512.02325, section 2.2). */
import { elementCount, showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { type Box, denseBoxes, denseSquares, isFaceSizes, ratiosOf, twice } from './prior-forks.ts';
import { planesOf } from './window.ts';

export const priorLayers: Layers = {
  PriorBox: { build: priorBox, bottoms: [2, 2] },
  // OpenVINO's PriorBox with explicit sizes. OpenCV uses it for its own PriorBox with explicit sizes.
  PriorBoxClustered: { build: priorBox, bottoms: [2, 2] },
};

interface PriorBoxParameter {
  readonly min_size?: readonly number[];
  readonly max_size?: readonly number[];
  readonly aspect_ratio?: readonly number[];
  readonly flip: boolean;
  readonly clip: boolean;
  readonly variance?: readonly number[];
  readonly img_size?: number;
  readonly img_h?: number;
  readonly img_w?: number;
  readonly step?: number;
  readonly step_h?: number;
  readonly step_w?: number;
  readonly offset: number;
  readonly width?: readonly number[];
  readonly height?: readonly number[];
  readonly box_width?: readonly number[];
  readonly box_height?: readonly number[];
  readonly tf: boolean;
  readonly yx_order: boolean;
  readonly keras: boolean;
  readonly faceboxes: boolean;
  readonly denser_prior_boxes: boolean;
  readonly fixed_size?: readonly number[];
  readonly fixed_ratio?: readonly number[];
  readonly density?: readonly number[];
}

/** The largest number of boxes per cell (native/operations/prior-boxes). */
const MOST_BOXES = 64;

/** prior_box_layer.cpp: only the sizes of its bottoms, a feature map and an image, are used. */
function priorBox(context: LayerContext): Built {
  const [, , height, width] = planesOf(context);
  const image = context.shapes[1]!;
  if (image.length !== 4)
    context.fail('dimensions', `the second bottom must be an image, N×C×H×W, found ${showShape(image)}`);
  const p = withDefaults<PriorBoxParameter>('PriorBoxParameter', context.layer.prior_box_param);
  const [imageHeight, imageWidth] = sides(context, p, ['img_size', 'img_h', 'img_w']) ?? [
    image[2]!,
    image[3]!,
  ];
  const [stepHeight, stepWidth] = sides(context, p, ['step', 'step_h', 'step_w']) ?? [
    imageHeight / height,
    imageWidth / width,
  ];
  const boxes = boxesOfCell(context, p, {
    image: [imageHeight, imageWidth],
    down: (1 - p.offset) * stepHeight,
  });
  const layer = new Composition(context.shapes);
  const variances = variancesOf(context, p);
  const top = layer.one(
    {
      kind: 'priorBoxes',
      widths: boxes.map((box) => box.width),
      heights: boxes.map((box) => box.height),
      xs: boxes.map(({ x }) => x),
      ys: boxes.map(({ y }) => y),
      // The layer's own variances keep their order; the coordinates change theirs.
      variances: p.yx_order ? [1, 0, 3, 2].map((i) => variances[i]!) : variances,
      height,
      width,
      imageHeight,
      imageWidth,
      stepHeight,
      stepWidth,
      offset: p.offset,
      // The fork always clips the boxes of fixed_size.
      clip: p.clip || p.fixed_size !== undefined,
    },
    [],
    [1, 2, height * width * boxes.length * 4],
  );
  return layer.built([p.yx_order ? inPairsSwapped(layer, top) : top]);
}

/** Swaps adjacent values: y before x. */
function inPairsSwapped(layer: Composition, part: Part): Part {
  const pairs = elementCount(part.shape) / 2;
  const halves = layer.add(
    { kind: 'slice', axis: 1 },
    [layer.reshape(part, [pairs, 2])],
    [
      [pairs, 1],
      [pairs, 1],
    ],
  ) as [Part, Part];
  return layer.reshape(layer.one({ kind: 'concat', axis: 1 }, halves.toReversed(), [pairs, 2]), part.shape);
}

/**
 * Boxes with explicit sizes (OpenCV's prior_box_layer.cpp; box_width and box_height in synopsys-caffe); null if there are
 * none.
 */
function writtenBoxes(context: LayerContext, p: PriorBoxParameter): Box[] | null {
  const param: Message = context.layer.prior_box_param ?? {};
  const names = ['width', 'height', 'box_width', 'box_height'] as const;
  const first = names.find((name) => p[name] !== undefined);
  if (first === undefined) return null;
  const at = positionOf(param, first);
  const isOpenCvs = p.width !== undefined || p.height !== undefined;
  if (isOpenCvs && (p.box_width ?? p.box_height) !== undefined)
    context.fail(
      'prior-box',
      'both width and height and box_width and box_height are given; keep one pair',
      at,
    );
  const other = (['min_size', 'max_size', 'aspect_ratio'] as const).find((name) => p[name] !== undefined);
  if (other !== undefined)
    context.fail('prior-box', `both ${first} and ${other} give the sizes of boxes; keep one`, at);
  const [widths = [], heights = []] = isOpenCvs ? [p.width, p.height] : [p.box_width, p.box_height];
  if (widths.length !== heights.length || widths.length > MOST_BOXES)
    context.fail(
      'prior-box',
      `boxes take a width and a height each, ${MOST_BOXES} of them at most; found ${widths.length} widths and ${heights.length} heights`,
      at,
    );
  return widths.map((width, i) => centred(width, heights[i]!));
}

const centred = (width: number, height: number): Box => ({ width, height, x: 0, y: 0 });

interface Cell {
  readonly image: readonly [height: number, width: number];
  /** From the centre of a cell to its lower edge. */
  readonly down: number;
}

/** SSD's boxes, those with explicit sizes, or those of a fork. */
function boxesOfCell(context: LayerContext, p: PriorBoxParameter, { image, down }: Cell): Box[] {
  const fork = p.faceboxes ? 'FaceBoxes' : p.denser_prior_boxes ? 'TextBoxes' : context.state.priors;
  const fixed = fixedBoxes(context, p);
  const boxes =
    writtenBoxes(context, p) ??
    (fork === 'FaceBoxes'
      ? faceBoxes(context, p)
      : fixed.length > 0 && p.min_size === undefined
        ? fixed
        : [...fixed, ...squares(context, p, image)]);
  const all = fork === 'TextBoxes' ? twice(boxes, down) : boxes;
  if (all.length > MOST_BOXES)
    context.fail(
      'prior-box',
      `a cell has ${all.length} boxes, at most ${MOST_BOXES} are supported`,
      'prior_box_param',
    );
  return all;
}

/** The boxes of `fixed_size`, which come before those of min_size. */
function fixedBoxes(context: LayerContext, p: PriorBoxParameter): Box[] {
  const param: Message = context.layer.prior_box_param ?? {};
  const { fixed_size: sizes = [], density = [], fixed_ratio: ratios } = p;
  if (sizes.length !== density.length)
    context.fail(
      'prior-box',
      `needs one density for each fixed_size, found ${density.length} and ${sizes.length}`,
      positionOf(param, sizes.length > 0 ? 'fixed_size' : 'density'),
    );
  const wrong = [
    ...sizes.map((size) => ['fixed_size', size, size >= 1] as const),
    ...density.map((each, i) => ['density', each, each >= 1 && each <= sizes[i]!] as const),
    ...(ratios ?? []).map((ratio) => ['fixed_ratio', ratio, ratio > 0] as const),
  ].find(([, , isGood]) => !isGood);
  if (wrong !== undefined)
    context.fail(
      'prior-box',
      `${wrong[0]} ${wrong[1]} makes no boxes: sizes are at least 1, a density is from 1 to its fixed_size, ratios are above 0`,
      positionOf(param, wrong[0]),
    );
  if (ratios !== undefined && p.aspect_ratio !== undefined)
    context.fail(
      'prior-box',
      'both fixed_ratio and aspect_ratio are given; keep one',
      positionOf(param, 'fixed_ratio'),
    );
  if (sizes.length > 0 && p.min_size !== undefined && !p.clip)
    context.fail(
      'prior-box',
      'fixed_size, whose boxes are clipped, is supported beside min_size only with clip: true',
      positionOf(param, 'fixed_size'),
    );
  return sizes.flatMap((size, i) =>
    denseBoxes(size, density[i]!, ratios === undefined, ratios ?? ratiosOf(p)),
  );
}

function faceBoxes(
  context: LayerContext,
  { min_size: sizes = [], max_size, aspect_ratio }: PriorBoxParameter,
) {
  if (max_size !== undefined || aspect_ratio !== undefined || sizes.length === 0 || !isFaceSizes(sizes))
    context.fail(
      'prior-box',
      `FaceBoxes has min_size alone, 32, 64 and 128 or sizes without a grid, found ${sizes.join(', ') || 'none'}`,
      positionOf(context.layer.prior_box_param, 'min_size') ?? 'prior_box_param',
    );
  return denseSquares(sizes);
}

/**
 * For each min_size its square, the square between it and max_size, and one box for each aspect ratio. synopsys-caffe has
 * other orders, those of TensorFlow and Keras.
 */
function squares(context: LayerContext, p: PriorBoxParameter, image: Cell['image']): Box[] {
  const param: Message = context.layer.prior_box_param ?? {};
  const { min_size: least = [], max_size: most = [] } = p;
  if (least.length === 0) context.fail('prior-box', 'min_size must be given', 'prior_box_param');
  for (const [i, size] of least.entries()) {
    if (size < 1)
      context.fail(
        'prior-box',
        `min_size ${size} becomes 0, because SSD stores sizes as integers, in pixels of the image; write 1 or more`,
        positionOf(param, 'min_size'),
      );
    if (most.length > 0 && !(Math.trunc(most[i] ?? Number.POSITIVE_INFINITY) > Math.trunc(size)))
      context.fail(
        'prior-box',
        `max_size must be greater than its min_size (${size}), found ${most[i]}`,
        positionOf(param, 'max_size'),
      );
  }
  if (most.length > 0 && most.length !== least.length)
    context.fail(
      'prior-box',
      `needs as many max_size as min_size, found ${most.length} and ${least.length}`,
      positionOf(param, 'max_size'),
    );
  const ratios = ratiosOf(p);
  return least.flatMap((size, i): Box[] => {
    // SSD stores sizes as integers.
    const side = Math.trunc(size);
    const length = most.length === 0 ? null : Math.sqrt(side * Math.trunc(most[i]!));
    const square =
      p.tf && !p.keras && side === TENSORFLOWS_LEAST ? shrunk(context, side, image) : [side, side];
    const between = length === null ? [] : [[length, length]];
    const others = ratios.map((ratio) => [side * Math.sqrt(ratio), side / Math.sqrt(ratio)]);
    const inOrder = p.keras
      ? [...between, square, ...others]
      : p.tf
        ? [square, ...others, ...between]
        : [square, ...between, ...others];
    return inOrder.map(([width, height]) => centred(width!, height!));
  });
}

/** The min_size of the first map of TensorFlow's SSDs of 300 pixels, whose square synopsys-caffe reduces on each side. */
const TENSORFLOWS_LEAST = 60;
const CUT = 0.05;

/** @param image The size that the reduction is relative to. */
function shrunk(context: LayerContext, side: number, [height, width]: readonly [number, number]): number[] {
  const box = [side - 2 * CUT * width, side - 2 * CUT * height];
  if (!(Math.min(...box) > 0))
    context.fail(
      'prior-box',
      `tf makes the square of min_size ${side} smaller by ${CUT} of the image on each side, so nothing remains of it in ${width}×${height}`,
      positionOf(context.layer.prior_box_param, 'tf'),
    );
  return box;
}

/** One number for both sides, or one for each; null if none is given. */
function sides(
  context: LayerContext,
  p: PriorBoxParameter,
  names: readonly ['img_size', 'img_h', 'img_w'] | readonly ['step', 'step_h', 'step_w'],
): [number, number] | null {
  const [both, h, w] = names.map((name) => p[name]) as [number?, number?, number?];
  const at = positionOf(context.layer.prior_box_param, names[0]);
  if (both !== undefined && (h !== undefined || w !== undefined))
    context.fail('prior-box', `gives both ${names[0]} and ${names[1]}/${names[2]}; keep one kind`, at);
  const [height, width] = both === undefined ? [h, w] : [both, both];
  if (height === undefined && width === undefined) return null;
  if (height === undefined || width === undefined)
    return context.fail('prior-box', `needs both ${names[1]} and ${names[2]}`, 'prior_box_param');
  return [height, width];
}

function variancesOf(context: LayerContext, p: PriorBoxParameter): number[] {
  const { variance = [] } = p;
  if (![0, 1, 4].includes(variance.length))
    context.fail(
      'prior-box',
      `needs four variance, one or none, found ${variance.length}`,
      positionOf(context.layer.prior_box_param, 'variance'),
    );
  return variance.length === 4 ? [...variance] : Array.from({ length: 4 }, () => variance[0] ?? 0.1);
}
