/**
 * RefineDet's steps before its DetectionOutput (github.com/sfzhang15/RefineDet): objectness scores, and boxes that are moved
 * twice.
 */
import type { Composition, Part } from './compose.ts';

export interface RefinedSizes {
  readonly images: number;
  readonly boxes: number;
  readonly classes: number;
}

/**
 * bbox_util.cpp (OSGetConfidenceScores): a box with a low objectness counts as background, and its other scores become 0.
 */
export function scoresOfObjects(
  layer: Composition,
  scores: Part,
  objects: Part,
  least: number,
  { images, boxes, classes }: RefinedSizes,
): Part {
  const all = images * boxes;
  const [, score] = layer.add(
    { kind: 'slice', axis: 1 },
    [layer.reshape(objects, [all, 2])],
    [
      [all, 1],
      [all, 1],
    ],
  ) as [Part, Part];
  const linear = (scale: number, shift: number, x: Part) =>
    layer.one({ kind: 'power', power: 1, scale, shift }, [x], [all]);
  const negative = linear(-1, 0, layer.reshape(score, [all]));
  const below = layer.one({ kind: 'threshold', threshold: -Math.fround(least) }, [negative], [all]);
  const shape = [all, classes];
  const kept = layer.one(
    { kind: 'scale', operand: 'scale', scale: null, bias: null, outer: 1, channels: all, inner: classes },
    [layer.reshape(scores, shape), linear(-1, 1, below)],
    shape,
  );
  return layer.reshape(kept, [images, boxes * classes]);
}

/** x and y of all boxes, for each image or for all images together. */
interface CentreSize {
  readonly centre: Part;
  readonly size: Part;
}

/**
 * bbox_util.cpp (CasRegDecodeBBoxesAll): priors moved by each of the locations in turn.
 * @returns Corners, [N, 4·P]
 */
export function refinedBoxes(
  layer: Composition,
  locations: readonly Part[],
  priors: Part,
  varianceInTarget: boolean,
  { images, boxes }: RefinedSizes,
): Part {
  const linear = (scale: number, x: Part) =>
    layer.one({ kind: 'power', power: 1, scale, shift: 0 }, [x], x.shape);
  const sum = (a: Part, b: Part, sign = 1) =>
    layer.one(
      { kind: 'eltwise', operation: 'sum', coefficients: [1, sign], stableProdGrad: true, relu: null },
      [a, b],
      a.shape,
    );
  const halves = (x: Part, count: number): [Part, Part] => {
    const rows = layer.reshape(x, [count * boxes, 4]);
    const half = [count * boxes, 2];
    const parts = layer.add({ kind: 'slice', axis: 1 }, [rows], [half, half]);
    return parts.map((part) => layer.reshape(part, [count, boxes * 2])) as [Part, Part];
  };
  /** Combines the values of each image with those that all images share. */
  const joined = (operand: 'scale' | 'bias', x: Part, by: Part) => {
    if (images === by.shape[0]) return operand === 'scale' ? layer.product([x, by]) : sum(x, by);
    const channels = boxes * 2;
    return layer.one(
      { kind: 'scale', operand, scale: null, bias: null, outer: images, channels, inner: 1 },
      [x, layer.reshape(by, [channels])],
      x.shape,
    );
  };

  const [places, variances] = layer.add(
    { kind: 'slice', axis: 1 },
    [layer.reshape(priors, [1, 2, boxes * 4])],
    [
      [1, 1, boxes * 4],
      [1, 1, boxes * 4],
    ],
  ) as [Part, Part];
  const [low, high] = halves(places, 1);
  const by = halves(variances, 1);
  const prior: CentreSize = { centre: linear(0.5, sum(low, high)), size: sum(high, low, -1) };
  const { centre, size } = locations.reduce((from, location) => {
    const [move, growth] = halves(location, images).map((x, i) =>
      varianceInTarget ? x : joined('scale', x, by[i]!),
    ) as [Part, Part];
    const factor = layer.one({ kind: 'exp', inner: 1, outer: 1 }, [growth], growth.shape);
    return {
      centre: joined('bias', joined('scale', move, from.size), from.centre),
      size: joined('scale', factor, from.size),
    };
  }, prior);
  const half = linear(0.5, size);
  const rows = [images * boxes, 2];
  const corners = [sum(centre, half, -1), sum(centre, half)].map((corner) => layer.reshape(corner, rows));
  return layer.reshape(layer.one({ kind: 'concat', axis: 1 }, corners, [images * boxes, 4]), [
    images,
    boxes * 4,
  ]);
}
