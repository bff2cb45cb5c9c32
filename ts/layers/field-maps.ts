/**
 * Maps that describe, for boxes of given fields, the content and the regression at each position, and the labels from
 * their data layers: MS-CNN's (detection_loss_layer.cpp, detection_accuracy_layer.cpp; one bottom for both) and Cascade
 * R-CNN's (detection_group_*.cpp; separate scores and regressions, and the fields of an image as consecutive items).
 */
import { type Shape, showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import type { JavaScriptBlob } from './javascript.ts';
import type { LayerContext } from './layer.ts';

/** A kind of box: its sides, and the distance between neighbouring boxes in pixels. */
export interface Field {
  readonly width: number;
  readonly height: number;
  readonly stride: number;
}

/**
 * Each item has planes of scores and of four regressions; its labels have planes of class, x, y, width, height and
 * overlap.
 */
export interface FieldMaps {
  readonly items: number;
  readonly classes: number;
  readonly rows: number;
  readonly columns: number;
  /** The number of items of an image, which are consecutive. */
  readonly fields: readonly Field[];
  /** The same array if one bottom has both. */
  readonly scores: Float32Array;
  readonly boxes: Float32Array;
  readonly labels: Float32Array;
  /** The index of a position of a plane of an item. */
  readonly scoreAt: (item: number, k: number, place: number) => number;
  readonly boxAt: (item: number, k: number, place: number) => number;
  readonly labelAt: (item: number, plane: number, place: number) => number;
}

/** The planes of the labels: the class, then the box, then its overlap. */
export const [BOX_PLANE, OVERLAP_PLANE, LABEL_PLANES] = [1, 5, 6] as const;

/** The parameters that the layers have in common. */
interface FieldParameter {
  readonly cls_num?: number;
  readonly coord_num?: number;
  readonly objectness: boolean;
  readonly field_h?: number | readonly number[];
  readonly field_w?: number | readonly number[];
  readonly downsample_rate?: number;
  readonly stride?: number;
}

/** The kinds of boxes in a layer's parameters. */
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

/** Reads the bottoms as maps with this number of classes. */
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

/** ignore_label of loss_param; undefined if there is none. */
export const ignoredLabel = ({ layer }: LayerContext): number | undefined =>
  (layer.loss_param as { ignore_label?: number } | undefined)?.ignore_label;

/** The class at a position, converted as in the forks. */
export const classAt = ({ labels, labelAt }: FieldMaps, item: number, place: number): number =>
  Math.trunc(labels[labelAt(item, 0, place)]!);

/** The overlap of an object with the box of a position. */
export const overlapAt = ({ labels, labelAt }: FieldMaps, item: number, place: number): number =>
  labels[labelAt(item, OVERLAP_PLANE, place)]!;

/** The centre of a position's box, in pixels. */
export function middleOf(maps: FieldMaps, item: number, place: number): readonly [x: number, y: number] {
  const { stride } = maps.fields[item % maps.fields.length]!;
  return [((place % maps.columns) + 0.5) * stride, (Math.floor(place / maps.columns) + 0.5) * stride];
}
