/**
 * The boxes of an image: how they overlap, which remain when a region is cut out, and which region is drawn (SSD's
 * bbox_util.cpp and sampler.cpp; arXiv:1512.02325, section 2.2, "Data augmentation").
 */

import { randomInteger } from '../base/random.ts';
import type { Annotation, Box } from './annotated-datum.ts';
import type { AnnotatedTransform, BatchSampler, Constraint } from './annotated-param.ts';

const areaOf = ({ xmin, ymin, xmax, ymax }: Box): number =>
  xmax < xmin || ymax < ymin ? 0 : (xmax - xmin) * (ymax - ymin);

const shared = (a: Box, b: Box): number =>
  areaOf({
    xmin: Math.max(a.xmin, b.xmin),
    ymin: Math.max(a.ymin, b.ymin),
    xmax: Math.min(a.xmax, b.xmax),
    ymax: Math.min(a.ymax, b.ymax),
  });

/** The intersection of two boxes over their union (Jaccard's index). */
export function overlapOf(a: Box, b: Box): number {
  const both = shared(a, b);
  return both === 0 ? 0 : both / (areaOf(a) + areaOf(b) - both);
}

/** The share of `a` that is inside `b`. */
function coverageOf(a: Box, b: Box): number {
  const both = shared(a, b);
  return both === 0 ? 0 : both / areaOf(a);
}

/**
 * The boxes of an image as boxes of a region of it, clipped to the region; boxes outside, or not inside enough for `emit`,
 * are dropped.
 */
export function projectBoxes(
  annotations: readonly Annotation[],
  part: Box,
  emit: AnnotatedTransform['emit'],
): Annotation[] {
  const [width, height] = [part.xmax - part.xmin, part.ymax - part.ymin];
  const clip = (value: number) => Math.min(1, Math.max(0, value));
  return annotations.flatMap((annotation) => {
    if (emit !== null && !isEmitted(annotation, part, emit)) return [];
    const box = {
      xmin: clip((annotation.xmin - part.xmin) / width),
      ymin: clip((annotation.ymin - part.ymin) / height),
      xmax: clip((annotation.xmax - part.xmin) / width),
      ymax: clip((annotation.ymax - part.ymin) / height),
    };
    return areaOf(box) > 0 ? [{ ...annotation, ...box }] : [];
  });
}

function isEmitted(box: Box, part: Box, { type, overlap }: NonNullable<AnnotatedTransform['emit']>): boolean {
  if (type === 'MIN_OVERLAP') return coverageOf(box, part) > overlap;
  const [x, y] = [(box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2];
  return x >= part.xmin && x <= part.xmax && y >= part.ymin && y <= part.ymax;
}

/** The boxes of a mirrored image. */
export const mirrorBoxes = (annotations: readonly Annotation[]): Annotation[] =>
  annotations.map((annotation) => ({ ...annotation, xmin: 1 - annotation.xmax, xmax: 1 - annotation.xmin }));

/** Draws one of the regions that the samplers find; null if they find none. */
export function drawPart(
  samplers: readonly BatchSampler[],
  objects: readonly Box[],
  random: () => number,
): Box | null {
  const found = samplers
    .filter(({ useOriginal }) => useOriginal)
    .flatMap((sampler) => partsOf(sampler, objects, random));
  return found.length === 0 ? null : found[randomInteger(random, found.length)]!;
}

function partsOf(sampler: BatchSampler, objects: readonly Box[], random: () => number): Box[] {
  const found: Box[] = [];
  for (let trial = 0; trial < sampler.trials && found.length < (sampler.mostSamples ?? Infinity); trial++) {
    const part = randomPart(sampler, random);
    if (isSatisfied(sampler.constraint, part, objects)) found.push(part);
  }
  return found;
}

function randomPart({ scale, ratio }: BatchSampler, random: () => number): Box {
  const between = ([least, most]: readonly [number, number]) => least + random() * (most - least);
  const size = between(scale);
  // The region fits the image: its width and height are at most 1.
  const shape = Math.min(Math.max(between(ratio), size ** 2), 1 / size ** 2);
  const [width, height] = [Math.min(1, size * Math.sqrt(shape)), Math.min(1, size / Math.sqrt(shape))];
  const [left, top] = [random() * (1 - width), random() * (1 - height)];
  return { xmin: left, ymin: top, xmax: left + width, ymax: top + height };
}

function isSatisfied(constraint: BatchSampler['constraint'], part: Box, objects: readonly Box[]): boolean {
  const bounds = Object.entries(constraint).filter(([, span]) => span !== null) as [
    Constraint,
    { least: number; most: number },
  ][];
  if (bounds.length === 0) return true;
  const measure = {
    overlap: overlapOf,
    sampleCoverage: coverageOf,
    objectCoverage: (a: Box, b: Box) => coverageOf(b, a),
  };
  return objects.some((object) =>
    bounds.every(([name, { least, most }]) => {
      const value = measure[name](part, object);
      return value >= least && value <= most;
    }),
  );
}
