/**
 * DetectNet's boxes (NVIDIA DIGITS; github.com/NVIDIA/caffe, python/caffe/layers/detectnet/clustering.py): the cells of a grid
 * that cover an object vote for its box, and OpenCV's groupRectangles joins their votes.
 */
import { roundHalfEven } from '../base/numbers.ts';
import { type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { type Grouped, groupRectangles } from './group-rectangles.ts';
import { buildJavaScript } from './host-function.ts';
import type { Built, LayerContext } from './layer.ts';
import type { Corners } from './overlap.ts';

/** MAX_BOXES: rows of a top for each image. The module ends with an error if there are more boxes. */
const MOST = 50;

/** The numbers of param_str, which are separated by commas. The last, the number of classes, is 1 if it is missing. */
function numbersOf(context: LayerContext, names: readonly string[]): number[] {
  const text = String(context.layer.python_param?.param_str ?? '');
  const numbers = text.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
  if (
    numbers.length < names.length - 1 ||
    numbers.slice(0, names.length).some((each) => !Number.isFinite(each))
  )
    context.fail(
      'proposal',
      `param_str must be ${names.length} numbers separated by commas (${names.join(', ')}), found "${text}"`,
      positionOf(context.layer.python_param, 'param_str') ?? 'python_param',
    );
  return numbers;
}

/** bottoms: the coverage of each class, [N, classes, H, W], and the boxes, [N, 4, H, W], relative to their cells. */
function clusters(
  context: LayerContext,
  [imageWidth, imageHeight, stride, classes]: readonly [number, number, number, number],
  isCovered: (coverage: number) => boolean,
  joined: (boxes: readonly Corners[]) => readonly (readonly number[])[],
): Built {
  const [coverage, boxes] = context.shapes as [Shape, Shape];
  const [n = 0, found = 0, height = 0, width = 0] = coverage;
  if (coverage.length !== 4 || found !== classes || showShape(boxes) !== showShape([n, 4, height, width]))
    context.fail(
      'shape',
      `${classes} classes need a coverage of N×${classes}×H×W and boxes of N×4×H×W, found ${showShape(coverage)} and ${showShape(boxes)}`,
    );
  if (context.topCount !== classes)
    context.fail('top-count', `needs a top for each of ${classes} classes, found ${context.topCount}`);
  const [columns, rows] = [imageWidth, imageHeight].map((side) => Math.floor(side / stride)) as [
    number,
    number,
  ];
  if (!(columns >= 1 && rows >= 1))
    context.fail(
      'shape',
      `a stride of ${stride} leaves no cell of ${imageWidth}×${imageHeight}`,
      'python_param',
    );
  const [stepX, stepY] = [Math.floor(imageWidth / columns), Math.floor(imageHeight / rows)];
  const plane = height * width;
  return buildJavaScript(
    {
      shapes: () => Array.from({ length: classes }, () => [n, MOST, 5]),
      forward: ([covered, given]) =>
        Array.from({ length: classes }, (_, of) => {
          const top = new Float32Array(n * MOST * 5);
          for (let image = 0; image < n; image++) {
            const votes: Corners[] = [];
            // The grid is cut to the image's rows alone, as in the module.
            for (let place = 0; place < Math.min(rows, height) * width; place++) {
              if (!isCovered(covered!.data[(image * classes + of) * plane + place]!)) continue;
              const at = (side: number) => given!.data[(4 * image + side) * plane + place]!;
              const [x, y] = [(place % width) * stepX, Math.floor(place / width) * stepY];
              votes.push([at(0) + x, at(1) + y, at(2) + x, at(3) + y]);
            }
            joined(votes)
              .slice(0, MOST)
              .forEach((row, i) => top.set(row.map(toHalf), 5 * (MOST * image + i)));
          }
          return top;
        }),
    },
    context,
  );
}

/** ClusterDetections: x1, y1, x2, y2 and the logarithm of the number of votes. */
export function clusterDetections(context: LayerContext): Built {
  const [width, height, stride, covered, votes, eps, least, classes = 1] = numbersOf(context, [
    'image width',
    'image height',
    'stride',
    'coverage threshold',
    'votes',
    'eps',
    'least height',
    'classes',
  ]) as [number, number, number, number, number, number, number, number?];
  return clusters(
    context,
    [width, height, stride, classes],
    (coverage) => coverage >= covered,
    (boxes) =>
      boxes.every((box) => box.every((side) => side === 0))
        ? []
        : // The module passes corners where OpenCV expects a corner and a size.
          groupRectangles(
            boxes.map((box) => box.map(roundHalfEven) as unknown as Corners),
            votes,
            eps,
          )
            .filter(({ box }: Grouped) => box[3] - box[1] >= least)
            .map(({ box, weight }) => [...box, Math.log(weight)]),
  );
}

/** ClusterGroundtruth: the different boxes of the covered cells, and 0. */
export function clusterTruth(context: LayerContext): Built {
  const [width, height, stride, classes = 1] = numbersOf(context, [
    'image width',
    'image height',
    'stride',
    'classes',
  ]) as [number, number, number, number?];
  return clusters(
    context,
    [width, height, stride, classes],
    (coverage) => coverage > 0,
    (boxes) => [...new Map(boxes.map((box) => [box.join(), box])).values()].map((box) => [...box, 0]),
  );
}

/** The nearest float16, in which the module keeps its rows. */
function toHalf(value: number): number {
  const size = Math.abs(value);
  if (size >= 65520) return Math.sign(value) * Number.POSITIVE_INFINITY;
  const unit = 2 ** (Math.max(-14, Math.floor(Math.log2(size || 1))) - 10);
  return roundHalfEven(value / unit) * unit;
}
