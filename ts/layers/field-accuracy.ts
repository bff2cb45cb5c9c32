/**
 * The accuracy of maps of boxes: DetectionAccuracy of MS-CNN (github.com/zhaoweicai/mscnn, detection_accuracy_layer.cpp) and
 * DetectionGroupAccuracy of Cascade R-CNN (github.com/zhaoweicai/cascade-rcnn, detection_group_accuracy_layer.cpp). The tops
 * are the share of positions with the right class, the same for objects only, and the mean overlap of objects with their
 * predicted boxes. −1 means that there are no positions.
 */
import { type Message, positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { type Four, type Normalisation, normalisationOf, overlapOfSides } from './box-regression.ts';
import {
  BOX_PLANE,
  classAt,
  type FieldMaps,
  fieldMapsOf,
  ignoredLabel,
  middleOf,
  overlapAt,
} from './field-maps.ts';
import { buildJavaScript } from './host-function.ts';
import type { JavaScriptLayer } from './javascript.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const fieldAccuracies: Layers = {
  DetectionAccuracy: {
    build: (context) => accuracy(context, 'detection_accuracy_param', 'DetectionAccuracyParameter', 0),
    bottoms: [2, 2],
    tops: [1, 2],
  },
  DetectionGroupAccuracy: {
    build: (context) =>
      accuracy(context, 'detection_group_accuracy_param', 'DetectionGroupAccuracyParameter', 1),
    bottoms: [3, 3],
    tops: [1, 2],
  },
};

interface Parameters {
  readonly objectness: boolean;
  readonly field_whr: number;
  readonly field_xyr: number;
  readonly bg_threshold: number;
  readonly top_k?: number;
}

/** @param least The smallest overlap of boxes that counts (overlapOfSides). */
function accuracy(
  context: LayerContext,
  field: `${string}_param`,
  message: 'DetectionAccuracyParameter' | 'DetectionGroupAccuracyParameter',
  least: 0 | 1,
): Built {
  const param = context.layer[field] as Message | undefined;
  const p = withDefaults<Parameters>(message, param);
  const read = fieldMapsOf(context, p, param);
  const best = p.top_k ?? 1;
  const ignored = ignoredLabel(context);
  const normalisation = normalisationOf(context);
  const layer: JavaScriptLayer = {
    shapes: () =>
      [
        [1, 1, 1, 2],
        [1, 1, 1, 1],
      ].slice(0, context.topCount),
    forward: (bottoms) => {
      const maps = read(bottoms);
      if (best > maps.classes)
        throw new Error(`top_k is ${best}, but there are only ${maps.classes} classes`);
      const all = new Mean();
      const objects = new Mean();
      const overlaps = new Mean();
      for (let item = 0; item < maps.items; item++)
        for (let place = 0; place < maps.rows * maps.columns; place++) {
          const label = classAt(maps, item, place);
          const isIgnored = overlapAt(maps, item, place) >= Math.fround(p.bg_threshold);
          if (label !== 0 && label !== ignored)
            overlaps.add(overlapWithTruth(maps, item, place, p, normalisation, least));
          const counted = p.objectness ? Math.min(1, label) : label;
          if (counted === ignored || (label === 0 && isIgnored)) continue;
          const right = isAmongBest(maps, item, place, counted, best, least === 0) ? 1 : 0;
          all.add(right);
          if (label !== 0) objects.add(right);
        }
      return [Float32Array.of(all.value, objects.value), Float32Array.of(overlaps.value)].slice(
        0,
        context.topCount,
      );
    },
  };
  if (best < 1)
    context.fail('proposal', `top_k must be at least 1, found ${best}`, positionOf(param, 'top_k'));
  return buildJavaScript(layer, context);
}

class Mean {
  #sum = 0;
  #count = 0;
  add(value: number): void {
    this.#sum += value;
    this.#count++;
  }
  get value(): number {
    return this.#count === 0 ? -1 : this.#sum / this.#count;
  }
}

/** @param laterFirst Of equal scores the later class wins: MS-CNN sorts pairs; Cascade R-CNN chooses the first. */
function isAmongBest(
  { classes, scores, scoreAt }: FieldMaps,
  item: number,
  place: number,
  label: number,
  best: number,
  laterFirst: boolean,
): boolean {
  if (label < 0 || label >= classes) return false;
  const own = scores[scoreAt(item, label, place)]!;
  let better = 0;
  for (let k = 0; k < classes; k++) {
    const other = scores[scoreAt(item, k, place)]!;
    if (other > own || (other === own && (laterFirst ? k > label : k < label))) better++;
  }
  return better < best;
}

function overlapWithTruth(
  maps: FieldMaps,
  item: number,
  place: number,
  p: Parameters,
  { means, stds }: Normalisation,
  least: 0 | 1,
): number {
  const { width, height } = maps.fields[item % maps.fields.length]!;
  const within = (k: number, bound: number) => {
    const regression = maps.boxes[maps.boxAt(item, k, place)]! * stds[k]! + means[k]!;
    return Math.min(Math.max(regression, -bound), bound);
  };
  const [x, y] = middleOf(maps, item, place);
  const box = cornered([
    x + within(0, 1 / p.field_xyr) * width,
    y + within(1, 1 / p.field_xyr) * height,
    width * Math.exp(within(2, Math.log(p.field_whr))),
    height * Math.exp(within(3, Math.log(p.field_whr))),
  ]);
  const truth = [0, 1, 2, 3].map((k) => maps.labels[maps.labelAt(item, BOX_PLANE + k, place)]!);
  return overlapOfSides(box, cornered(truth as unknown as Four), least);
}

/** From the centre to the corner. */
const cornered = ([x, y, width, height]: Four): Four => [x - width / 2, y - height / 2, width, height];
