/** OpenCV's groupRectangles (modules/objdetect/src/cascadedetect.cpp, its documentation in "Object Detection"). */
import { roundHalfEven } from '../base/numbers.ts';

/** x, y, width, height, in whole pixels. */
type Rectangle = readonly [x: number, y: number, width: number, height: number];

export interface Grouped {
  readonly box: Rectangle;
  /** The number of rectangles in the group. */
  readonly weight: number;
}

/** Whether all four sides are at most `eps` of the mean size of the smaller sides apart. */
function isSimilar(a: Rectangle, b: Rectangle, eps: number): boolean {
  const delta = (eps * (Math.min(a[2], b[2]) + Math.min(a[3], b[3]))) / 2;
  const ends = [a[0] - b[0], a[1] - b[1], a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]];
  return ends.every((distance) => Math.abs(distance) <= delta);
}

/** The connected groups of rectangles that are similar in pairs, by their first members. */
function groupsOf(rectangles: readonly Rectangle[], eps: number): Rectangle[][] {
  const parents = rectangles.map((_, i) => i);
  const rootOf = (i: number): number => {
    let root = i;
    while (parents[root] !== root) root = parents[root]!;
    return root;
  };
  for (let i = 0; i < rectangles.length; i++)
    for (let j = 0; j < i; j++)
      if (isSimilar(rectangles[i]!, rectangles[j]!, eps)) {
        const [a, b] = [rootOf(i), rootOf(j)];
        parents[Math.max(a, b)] = Math.min(a, b);
      }
  const groups = new Map<number, Rectangle[]>();
  rectangles.forEach((rectangle, i) => {
    const root = rootOf(i);
    groups.set(root, [...(groups.get(root) ?? []), rectangle]);
  });
  return [...groups.values()];
}

/**
 * The means of groups of similar rectangles, without groups inside another one that has more members.
 * @param least A group must have more members. At 0 or below, every rectangle stays as it is.
 */
export function groupRectangles(rectangles: readonly Rectangle[], least: number, eps: number): Grouped[] {
  if (least <= 0) return rectangles.map((box) => ({ box, weight: 1 }));
  const groups = groupsOf(rectangles, eps)
    .map((members) => ({
      box: [0, 1, 2, 3].map((side) => {
        // The factor is a float in OpenCV.
        const scale = Math.fround(1 / members.length);
        return roundHalfEven(Math.fround(members.reduce((sum, each) => sum + each[side]!, 0) * scale));
      }) as unknown as Rectangle,
      weight: members.length,
    }))
    .filter(({ weight }) => weight > least);
  return groups.filter((group) => !groups.some((other) => other !== group && isInside(group, other, eps)));
}

/** Whether a group is inside another one, with a margin, that has more members; one of two members may be inside any. */
function isInside({ box, weight }: Grouped, other: Grouped, eps: number): boolean {
  const [dx, dy] = [roundHalfEven(other.box[2] * eps), roundHalfEven(other.box[3] * eps)];
  return (
    box[0] >= other.box[0] - dx &&
    box[1] >= other.box[1] - dy &&
    box[0] + box[2] <= other.box[0] + other.box[2] + dx &&
    box[1] + box[3] <= other.box[1] + other.box[3] + dy &&
    (other.weight > weight || weight < 3)
  );
}
