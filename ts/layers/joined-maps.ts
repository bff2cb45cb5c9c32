/**
 * DetectionOutput of Synopsys's fork with no_permute (detection_output_layer.cpp of synopsys-caffe). Its bottoms are
 * maps of scores and maps of locations, in the layout of convolutions and softmaxes, then the priors of all maps
 * together or of each.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import type { Composition, Part } from './compose.ts';
import type { LayerContext } from './layer.ts';

interface Maps {
  readonly num_classes?: number;
  readonly share_location: boolean;
  readonly nbottom: number;
}

/**
 * Boxes are ordered by map, then by kind of box, then by position. SSD orders by position before kind.
 * @returns Locations, scores, priors
 */
export function joinedMaps(context: LayerContext, layer: Composition, p: Maps): [Part, Part, Part] {
  const { nbottom: maps, num_classes: classes = 0 } = p;
  const param = context.layer.detection_output_param;
  const refuse = (text: string, field: string): never =>
    context.fail('detection-output', text, positionOf(param, field));
  const { bottoms } = layer;
  if (!p.share_location)
    refuse('no_permute is supported only with share_location: true, as in its nets', 'share_location');
  if (maps < 1 || (bottoms.length !== 2 * maps + 1 && bottoms.length !== 3 * maps))
    refuse(
      `with no_permute, nbottom: ${maps} maps take ${maps} bottoms of scores, ${maps} of locations and one of priors, or ${maps}; found ${bottoms.length} bottoms`,
      'nbottom',
    );
  const [scores, locations] = [bottoms.slice(0, maps), bottoms.slice(maps, 2 * maps)];
  const counts = locations.map(({ shape }, map): { kinds: number; places: number } => {
    const [images, channels = 0, height = 0, width = 0] = shape;
    const [kinds, places] = [channels / 4, height * width];
    const expected: Shape = [images!, classes, kinds, places];
    if (shape.length !== 4 || !Number.isInteger(kinds) || images !== locations[0]!.shape[0])
      refuse(
        `bottom ${maps + map + 1} must be locations, N×(4 for each kind of box)×H×W, found ${showShape(shape)}`,
        'no_permute',
      );
    if (showShape(scores[map]!.shape) !== showShape(expected))
      refuse(
        `bottom ${map + 1} must be scores of ${showShape(expected)} (classes, kinds of boxes, positions), found ${showShape(scores[map]!.shape)}`,
        'no_permute',
      );
    return { kinds, places };
  });
  const images = locations[0]!.shape[0]!;
  const boxes = counts.map(({ kinds, places }) => kinds * places);
  const all = boxes.reduce((sum, count) => sum + count, 0);
  const priors = bottoms.slice(2 * maps);
  if (priors.reduce((sum, { shape }) => sum + elementCount(shape), 0) !== 8 * all)
    refuse(
      `${all} boxes need priors of 1×2×${4 * all}, found ${priors.map(({ shape }) => showShape(shape)).join(', ')}`,
      'no_permute',
    );
  const joined = (parts: readonly Part[], axis: number, shape: Shape) =>
    parts.length === 1 ? parts[0]! : layer.one({ kind: 'concat', axis }, parts, shape);

  const ofClass = scores.map((part, map) => layer.reshape(part, [images, classes, boxes[map]!]));
  const ofBox = layer.permute(joined(ofClass, 2, [images, classes, all]), [0, 2, 1]);
  const places = locations.map((part, map) => {
    const { kinds, places } = counts[map]!;
    const split = layer.permute(layer.reshape(part, [images, kinds, 4, places]), [0, 1, 3, 2]);
    return layer.reshape(split, [images, 4 * boxes[map]!]);
  });
  // Priors are ordered by position, then by kind.
  const ofMaps =
    priors.length === maps
      ? priors.map((part, map) => layer.reshape(part, [1, 2, 4 * boxes[map]!]))
      : layer.add(
          { kind: 'slice', axis: 2 },
          [layer.reshape(priors[0]!, [1, 2, 4 * all])],
          boxes.map((count) => [1, 2, 4 * count]),
        );
  const sorted = ofMaps.map((part, map) => {
    const { kinds, places } = counts[map]!;
    const byKind = layer.permute(layer.reshape(part, [2, places, kinds, 4]), [0, 2, 1, 3]);
    return layer.reshape(byKind, [1, 2, 4 * boxes[map]!]);
  });
  return [
    joined(places, 1, [images, 4 * all]),
    layer.reshape(ofBox, [images, all * classes]),
    joined(sorted, 2, [1, 2, 4 * all]),
  ];
}
