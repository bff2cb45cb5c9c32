/**
 * MultiBoxLoss as the SSD paper (arXiv:1512.02325, sections 2.1 and 2.2) and the fork's caffe.proto describe it, in
 * float64 and without regard to speed: lists of boxes, tables of overlaps, sorted pairs.
 */

export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

export interface Truth {
  readonly image: number;
  readonly label: number;
  readonly box: Box;
  readonly difficult?: boolean;
}

export interface MultiBoxSettings {
  readonly classes: number;
  readonly background: number;
  readonly shareLocation: boolean;
  readonly agnostic: boolean;
  readonly code: 'CORNER' | 'CENTER_SIZE' | 'CORNER_SIZE';
  readonly varianceInTarget: boolean;
  readonly locLoss: 'SMOOTH_L1' | 'L2';
  readonly confLoss: 'SOFTMAX' | 'LOGISTIC';
  readonly locWeight: number;
  readonly matchType: 'BIPARTITE' | 'PER_PREDICTION';
  readonly overlapThreshold: number;
  readonly usePrior: boolean;
  readonly ignoreCrossing: boolean;
  readonly bpInside: boolean;
  readonly useDifficult: boolean;
  readonly mining: 'NONE' | 'MAX_NEGATIVE' | 'HARD_EXAMPLE';
  readonly negPosRatio: number;
  readonly negOverlap: number;
  readonly sampleSize: number;
  readonly nms: { readonly threshold: number; readonly topK: number; readonly byPrior: boolean } | null;
  readonly normalization: 'FULL' | 'VALID' | 'BATCH_SIZE' | 'NONE';
}

const area = ([x1, y1, x2, y2]: Box) => Math.max(0, x2 - x1) * Math.max(0, y2 - y1);
export function jaccard(a: Box, b: Box): number {
  const shared = area([
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ]);
  return shared === 0 ? 0 : shared / (area(a) + area(b) - shared);
}
const middle = ([x1, y1, x2, y2]: Box) => [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1] as const;
const crosses = (box: Box) => box.some((side) => side < 0 || side > 1);

/** Before variances. */
function encode(code: MultiBoxSettings['code'], box: Box, prior: Box): number[] {
  const [px, py, pw, ph] = middle(prior);
  if (code === 'CORNER') return box.map((side, i) => side - prior[i]!);
  if (code === 'CORNER_SIZE') return box.map((side, i) => (side - prior[i]!) / (i % 2 === 0 ? pw : ph));
  const [x, y, w, h] = middle(box);
  return [(x - px) / pw, (y - py) / ph, Math.log(w / pw), Math.log(h / ph)];
}
function decode(code: MultiBoxSettings['code'], offset: readonly number[], prior: Box): Box {
  const [px, py, pw, ph] = middle(prior);
  if (code === 'CORNER') return prior.map((side, i) => side + offset[i]!) as unknown as Box;
  if (code === 'CORNER_SIZE')
    return prior.map((side, i) => side + offset[i]! * (i % 2 === 0 ? pw : ph)) as unknown as Box;
  const [x, y, w, h] = [
    px + offset[0]! * pw,
    py + offset[1]! * ph,
    pw * Math.exp(offset[2]!),
    ph * Math.exp(offset[3]!),
  ];
  return [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
}

/** Candidate → index into `truths`, −1 (none) or −2 (it exceeds the image); and the largest overlap of each. */
function matchBoxes(s: MultiBoxSettings, candidates: readonly Box[], truths: readonly Truth[]) {
  const ignored = candidates.map((box) => s.ignoreCrossing && crosses(box));
  const table = candidates.map((box, i) =>
    truths.map((truth) => {
      const overlap = ignored[i] ? 0 : jaccard(box, truth.box);
      return overlap > 1e-6 ? overlap : 0;
    }),
  );
  const match: number[] = ignored.map((is) => (is ? -2 : -1));
  const pairs = table.flatMap((row, i) => row.map((overlap, g) => ({ i, g, overlap })));
  pairs.sort((a, b) => b.overlap - a.overlap);
  const taken = new Set<number>();
  for (const { i, g, overlap } of pairs) {
    if (overlap === 0 || match[i] !== -1 || taken.has(g)) continue;
    match[i] = g;
    taken.add(g);
  }
  const most = table.map((row) => Math.max(0, ...row));
  if (s.matchType === 'PER_PREDICTION')
    table.forEach((row, i) => {
      if (match[i] === -1 && most[i]! > 0 && most[i]! >= s.overlapThreshold) match[i] = row.indexOf(most[i]!);
    });
  return { match, most };
}

const softmax = (x: readonly number[]) => {
  const most = Math.max(...x);
  const powers = x.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
};
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const logisticLoss = (x: number, t: number) => Math.max(x, 0) - x * t + Math.log1p(Math.exp(-Math.abs(x)));
const huber = (d: number) => (Math.abs(d) < 1 ? (d * d) / 2 : Math.abs(d) - 0.5);

export function multiBoxReference(
  s: MultiBoxSettings,
  given: {
    readonly images: number;
    readonly loc: ArrayLike<number>;
    readonly conf: ArrayLike<number>;
    readonly priors: readonly Box[];
    readonly variances: readonly (readonly number[])[];
    readonly truths: readonly Truth[];
    /** RefineDet's: locations that move the priors of each image, and the probabilities of the background and of an object. */
    readonly moves?: ArrayLike<number>;
    readonly objects?: ArrayLike<number>;
    readonly leastObject?: number;
  },
): { loss: number; dLoc: number[]; dConf: number[]; matches: number; negatives: number[][] } {
  const { images, loc, conf, variances, truths, moves, objects, leastObject = 0 } = given;
  const P = given.priors.length;
  const movedBy = (by: ArrayLike<number>, image: number, prior: Box, i: number): Box =>
    decode(
      s.code,
      [0, 1, 2, 3].map(
        (side) => by[(image * P + i) * 4 + side]! * (s.varianceInTarget ? 1 : variances[i]![side]!),
      ),
      prior,
    );
  const priorsOf = Array.from({ length: images }, (_, image) =>
    given.priors.map((prior, i) => (moves === undefined ? prior : movedBy(moves, image, prior, i))),
  );
  const isObject = (image: number, i: number) =>
    objects === undefined || objects[(image * P + i) * 2 + 1]! >= leastObject;
  const sets = s.shareLocation ? 1 : s.classes;
  const locationOf = (image: number, i: number, set: number) =>
    [0, 1, 2, 3].map((side) => loc[((image * P + i) * sets + set) * 4 + side]!);
  const scoresOf = (image: number, i: number) =>
    Array.from({ length: s.classes }, (_, c) => conf[(image * P + i) * s.classes + c]!);
  const boxOf = (image: number, i: number, set: number) => {
    const said = locationOf(image, i, set);
    const offset = said.map((value, side) => (s.varianceInTarget ? value : value * variances[i]![side]!));
    return decode(s.code, offset, priorsOf[image]![i]!);
  };
  const classOf = (truth: Truth) => (s.agnostic ? s.background + 1 : truth.label);

  /** The positive pairs of each image, the sets that they regress, and the negatives that count. */
  const positives: { image: number; i: number; set: number; truth: Truth }[] = [];
  const negatives: number[][] = [];
  for (let image = 0; image < images; image++) {
    const own = truths.filter((truth) => truth.image === image && (s.useDifficult || !truth.difficult));
    const priors = priorsOf[image]!;
    let found: { i: number; set: number; truth: Truth }[] = [];
    let match: number[] = [];
    let most: number[] = [];
    if (s.usePrior || s.shareLocation) {
      const candidates = s.usePrior ? priors : priors.map((_, i) => boxOf(image, i, 0));
      ({ match, most } = matchBoxes(s, candidates, own));
      found = match.flatMap((g, i) =>
        g < 0 ? [] : [{ i, set: s.shareLocation ? 0 : own[g]!.label, truth: own[g]! }],
      );
    } else
      for (let set = 0; set < s.classes; set++) {
        const of = own.filter(({ label }) => label === set);
        const { match: matched } = matchBoxes(
          s,
          priors.map((_, i) => boxOf(image, i, set)),
          of,
        );
        found.push(...matched.flatMap((g, i) => (g < 0 ? [] : [{ i, set, truth: of[g]! }])));
      }
    let mined: number[] = [];
    if (s.mining !== 'NONE' && own.length > 0) {
      const hardness = priors.map((_, i) => {
        const positive = found.find((pair) => pair.i === i);
        const label = positive === undefined ? s.background : classOf(positive.truth);
        const x = scoresOf(image, i);
        const score =
          s.confLoss === 'SOFTMAX'
            ? -Math.log(softmax(x)[label]!)
            : x.reduce((sum, value, c) => sum + logisticLoss(value, c === label ? 1 : 0), 0);
        if (s.mining !== 'HARD_EXAMPLE' || positive === undefined) return score;
        return score + differences(image, positive).reduce((sum, d) => sum + lossOf(d), 0);
      });
      const eligible = priors
        .map((_, i) => i)
        .filter((i) => isObject(image, i))
        .filter((i) => s.mining === 'HARD_EXAMPLE' || (match[i] === -1 && most[i]! < s.negOverlap))
        .sort((a, b) => hardness[b]! - hardness[a]!);
      const wanted = s.mining === 'MAX_NEGATIVE' ? Math.floor(found.length * s.negPosRatio) : s.sampleSize;
      const kept: number[] = [];
      const pool = s.nms === null || s.nms.topK < 0 ? eligible : eligible.slice(0, s.nms.topK);
      for (const i of pool) {
        const box = (k: number) => (s.nms?.byPrior ? priors[k]! : boxOf(image, k, 0));
        if (s.nms !== null && area(box(i)) < 1e-5) continue;
        if (s.nms === null || kept.every((k) => jaccard(box(i), box(k)) <= s.nms!.threshold)) kept.push(i);
      }
      mined = kept.slice(0, wanted);
      if (s.mining === 'HARD_EXAMPLE') found = found.filter(({ i }) => mined.includes(i));
      mined = mined.filter((i) => match[i] === -1);
    }
    positives.push(...found.map((pair) => ({ image, ...pair })));
    negatives.push(mined.sort((a, b) => a - b));
  }

  function differences(image: number, { i, set, truth }: { i: number; set: number; truth: Truth }): number[] {
    const prior = priorsOf[image]![i]!;
    const target = encode(s.code, truth.box, prior);
    const edge = s.usePrior ? prior : boxOf(image, i, set);
    return locationOf(image, i, set).map((said, side) => {
      if (s.bpInside && (edge[side]! < 0 || edge[side]! > 1)) return 0;
      const by = variances[i]![side]!;
      return s.varianceInTarget ? said / by - target[side]! / by : said - target[side]! / by;
    });
  }
  function lossOf(d: number): number {
    return s.locLoss === 'L2' ? (d * d) / 2 : huber(d);
  }

  const matches = positives.length;
  const divisor = Math.max(
    1,
    { FULL: images * P, VALID: matches, BATCH_SIZE: images, NONE: 1 }[s.normalization],
  );
  const dLoc = Array.from({ length: loc.length }, () => 0);
  const dConf = Array.from({ length: conf.length }, () => 0);
  let sum = 0;
  for (const { image, i, set, truth } of positives)
    differences(image, { i, set, truth }).forEach((d, side) => {
      sum += s.locWeight * lossOf(d);
      const slope = s.locLoss === 'L2' || Math.abs(d) < 1 ? d : Math.sign(d);
      dLoc[((image * P + i) * sets + set) * 4 + side] = (s.locWeight * slope) / divisor;
    });
  for (let image = 0; image < images; image++)
    for (let i = 0; i < P; i++) {
      const own = positives.filter((pair) => pair.image === image && pair.i === i);
      const isNegative = own.length === 0;
      if (s.mining !== 'NONE' && isNegative && !negatives[image]!.includes(i)) continue;
      const labels = own.map(({ truth }) => classOf(truth));
      const x = scoresOf(image, i);
      const at = (image * P + i) * s.classes;
      if (s.confLoss === 'SOFTMAX') {
        const label = labels.length === 0 ? s.background : Math.max(...labels);
        const shares = softmax(x);
        sum -= Math.log(shares[label]!);
        shares.forEach((share, c) => {
          dConf[at + c] = (share - (c === label ? 1 : 0)) / divisor;
        });
      } else
        x.forEach((value, c) => {
          const isBackground = s.mining !== 'NONE' && isNegative && c === s.background;
          const target = labels.includes(c) || isBackground ? 1 : s.background;
          sum += logisticLoss(value, target);
          dConf[at + c] = (sigmoid(value) - target) / divisor;
        });
    }
  return { loss: sum / divisor, dLoc, dConf, matches, negatives };
}
