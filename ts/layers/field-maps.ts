/**
 * Maps that say of boxes of known fields, at each place, what they hold and where they move, and the labels that their data layers
 * make: MS-CNN's (detection_loss_layer.cpp, detection_accuracy_layer.cpp; one bottom for both) and Cascade R-CNN's
 * (detection_group_*.cpp; scores and regressions apart, and the fields of an image as items after one another).
 */
import { type Shape, showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import type { JavaScriptBlob } from './javascript.ts';
import type { LayerContext } from './layer.ts';

/** A kind of box: its sides, and the pixels from one to the next. */
export interface Field {
  readonly width: number;
  readonly height: number;
  readonly stride: number;
}

/** Of each item planes of scores and of four regressions; of its labels planes of class, x, y, width, height, overlap. */
export interface FieldMaps {
  readonly items: number;
  readonly classes: number;
  readonly rows: number;
  readonly columns: number;
  /** Of the items of an image, in turn. */
  readonly fields: readonly Field[];
  /** The same array where one bottom has both. */
  readonly scores: Float32Array;
  readonly boxes: Float32Array;
  readonly labels: Float32Array;
  /** Where in its array a plane of an item has a place. */
  readonly scoreAt: (item: number, k: number, place: number) => number;
  readonly boxAt: (item: number, k: number, place: number) => number;
  readonly labelAt: (item: number, plane: number, place: number) => number;
}

/** Planes of the labels: the class, then the box, then what overlaps it. */
export const [BOX_PLANE, OVERLAP_PLANE, LABEL_PLANES] = [1, 5, 6] as const;

/** What the layers' parameters say in common. */
interface FieldParameter {
  readonly cls_num?: number;
  readonly coord_num?: number;
  readonly objectness: boolean;
  readonly field_h?: number | readonly number[];
  readonly field_w?: number | readonly number[];
  readonly downsample_rate?: number;
  readonly stride?: number;
}

/** The kinds of boxes that a layer's parameters name. */
export function fieldsOf(context: LayerContext, p: FieldParameter, param: Message | undefined): Field[] {
  const [widths, heights] = [p.field_w, p.field_h].map((side) => [side ?? []].flat()) as [number[], number[]];
  const stride = p.stride ?? p.downsample_rate ?? 0;
  if (widths.length === 0 || widths.length !== heights.length || stride < 1)
    context.fail(
      'proposal',
      `takes as many field_w as field_h, one at least, and a ${context.shapes.length === 2 ? 'downsample_rate' : 'stride'}; found ${widths.length}, ${heights.length} and ${stride}`,
      positionOf(param),
    );
  return widths.map((width, i) => ({ width, height: heights[i]!, stride }));
}

/** How the bottoms are read as maps of so many classes. */
export function fieldMapsOf(
  context: LayerContext,
  p: FieldParameter,
  param: Message | undefined,
): (bottoms: readonly JavaScriptBlob[]) => FieldMaps {
  const fields = fieldsOf(context, p, param);
  const classes = p.cls_num ?? 0;
  if (classes < 2 || (p.objectness && classes !== 2))
    context.fail(
      'proposal',
      `cls_num must be ${p.objectness ? '2 with objectness: true' : 'at least 2, the background and an object'}, found ${classes}`,
      positionOf(param, 'cls_num') ?? positionOf(param),
    );
  if ((p.coord_num ?? 4) !== 4)
    context.fail('proposal', `coord_num must be 4, found ${p.coord_num}`, positionOf(param, 'coord_num'));
  const isJoined = context.shapes.length === 2;
  const [items = 0, , rows = 0, columns = 0] = context.shapes[0]!;
  const planes = isJoined ? [classes + 4, LABEL_PLANES] : [classes, 4, LABEL_PLANES];
  const expected = planes.map((count): Shape => [items, count, rows, columns]);
  if (
    items % fields.length !== 0 ||
    context.shapes.some((shape, i) => showShape(shape) !== showShape(expected[i]!))
  )
    context.fail(
      'shape',
      `${classes} classes and ${fields.length} kinds of boxes take ${isJoined ? 'scores followed by four regressions' : 'scores, four regressions'} and labels of six planes (class, x, y, width, height, overlap), N×C×H×W${fields.length > 1 ? `, N a multiple of ${fields.length}` : ''}: ${expected.map(showShape).join(', ')}; found ${context.shapes.map(showShape).join(', ')}`,
    );
  const area = rows * columns;
  const at = (count: number, first: number) => (item: number, k: number, place: number) =>
    (item * count + first + k) * area + place;
  const layout = isJoined
    ? { scoreAt: at(classes + 4, 0), boxAt: at(classes + 4, classes) }
    : { scoreAt: at(classes, 0), boxAt: at(4, 0) };
  return (bottoms) => ({
    ...{ items, classes, rows, columns, fields, ...layout, labelAt: at(LABEL_PLANES, 0) },
    scores: bottoms[0]!.data,
    boxes: bottoms[isJoined ? 0 : 1]!.data,
    labels: bottoms[isJoined ? 1 : 2]!.data,
  });
}

/** loss_param's ignore_label; undefined: none. */
export const ignoredLabel = ({ layer }: LayerContext): number | undefined =>
  (layer.loss_param as { ignore_label?: number } | undefined)?.ignore_label;

/** The class at a place, as the forks' cast has it. */
export const classAt = ({ labels, labelAt }: FieldMaps, item: number, place: number): number =>
  Math.trunc(labels[labelAt(item, 0, place)]!);

/** How much an object overlaps a place's box. */
export const overlapAt = ({ labels, labelAt }: FieldMaps, item: number, place: number): number =>
  labels[labelAt(item, OVERLAP_PLANE, place)]!;

/** The middle of a place's box, in pixels. */
export function middleOf(maps: FieldMaps, item: number, place: number): readonly [x: number, y: number] {
  const { stride } = maps.fields[item % maps.fields.length]!;
  return [((place % maps.columns) + 0.5) * stride, (Math.floor(place / maps.columns) + 0.5) * stride];
}
