/** The shapes of data layers according to the prototxt. (data/read-shapes.ts reads those that depend on files.) */

import { ArgumentError } from '../base/errors.ts';
import { didYouMean } from '../base/kinds.ts';
import type { Shape, Shapes } from '../base/shape.ts';
import { warn } from '../base/warn.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import { detectionDataShapes } from './detection-data.ts';

type Fail = (text: string) => Error;

/** Layers whose tops come from outside the net. Their shapes must be given. */
export const DATA_TYPES: readonly string[] = [
  'Data',
  'ImageData',
  'ImageSegData',
  'HDF5Data',
  'MemoryData',
  'DummyData',
  'WindowData',
  'AnnotatedData',
];

/** Shapes that the caller gives, by blob name. A blob may be called `__proto__`. */
export const shapeGiven = (shapes: Shapes, name: string): Shape | undefined =>
  Object.hasOwn(shapes, name) ? shapes[name] : undefined;

/** The dims of a BlobShape as numbers. Dims beyond 2^53 are rounded, and are too large for any blob. */
export const dimsOf = (shape: { dim?: readonly (number | bigint)[] } | undefined): number[] =>
  (shape?.dim ?? []).map(Number);

/**
 * The shapes of the tops of an Input, DummyData or MemoryData layer, from the prototxt; null for another type.
 * @param refuse Creates the error for a layer that is incomplete or contradictory.
 * @throws the error of `refuse`
 */
export function declaredShapes(layer: LayerParameter, refuse: Fail): Shape[] | null {
  const { type, top: tops = [] } = layer;
  const perTop = <T>(values: readonly T[], what: string): T[] => {
    if (values.length !== 1 && values.length !== tops.length)
      throw refuse(`has ${values.length} ${what}; give one, or one per top (${tops.length})`);
    return tops.map((_, i) => values[i] ?? values[0]!);
  };
  const dims = (field: 'input_param' | 'dummy_data_param') =>
    ((layer[field]?.shape as { dim?: number[] }[] | undefined) ?? []).map(dimsOf);
  if (type === 'Input') return perTop(dims('input_param'), 'shapes');
  if (type === 'DummyData') {
    const param = layer.dummy_data_param ?? {};
    const legacy = ['num', 'channels', 'height', 'width'].map(
      (field) => (param[field] as number[] | undefined) ?? [],
    );
    if (legacy.every((values) => values.length === 0)) return perTop(dims('dummy_data_param'), 'shapes');
    const [num, channels, height, width] = legacy.map((values) =>
      perTop(values, 'num, channels, height or width'),
    );
    return tops.map((_, i) => [num![i]!, channels![i]!, height![i]!, width![i]!]);
  }
  if (type !== 'MemoryData') return null;
  const sizes = ['batch_size', 'channels', 'height', 'width'].map((field) =>
    Number(layer.memory_data_param?.[field] ?? 0),
  );
  if (tops.length !== 2 || sizes.some((size) => size < 1))
    throw refuse('MemoryData needs batch_size, channels, height, width and two tops, data and label');
  return [sizes, [sizes[0]!]];
}

/**
 * For each type that reads images: the fields of its batch and source, and whether the prototxt determines the number of
 * channels.
 */
const IMAGE_TYPES: Readonly<Record<string, { readonly param: `${string}_param`; readonly batch?: number }>> =
  {
    Data: { param: 'data_param' },
    ImageData: { param: 'image_data_param', batch: 1 },
    ImageSegData: { param: 'image_data_param', batch: 1 },
    WindowData: { param: 'window_data_param' },
  };

/**
 * The shapes of a data layer's tops, as far as the prototxt determines them: a crop, or a size that images are resized to,
 * and the batch. If the number of channels is unknown, it is assumed to be three, with a warning. Each sample has one label
 * or box.
 * @param given Shapes of tops by name, which take precedence.
 * @returns Null if the prototxt does not determine the first top's shape
 */
export function textShapes(layer: LayerParameter, given: Shapes, refuse: Fail): Shape[] | null {
  const { name = '', type = '', top: tops = [] } = layer;
  const known = tops.map((top) => shapeGiven(given, top));
  if (known.every((shape) => shape !== undefined)) return known;
  if (known[0] === undefined) {
    const shapes = declaredShapes(layer, refuse);
    if (shapes !== null) return shapes.map((shape, i) => known[i] ?? shape);
  }
  const detection = detectionDataShapes(layer, known[0]);
  if (detection !== null) return detection.map((shape, i) => known[i] ?? shape);
  const first = known[0] ?? imageShape(layer);
  if (first === null || tops.length > (type === 'ImageSegData' ? 3 : 2)) return null;
  if (known[0] === undefined && !saysChannels(layer))
    warn(
      'graph/assumed-channels',
      `layer "${name}" (${type}): "${tops[0]}" is assumed to be ${first.join('×')}; the prototxt does not say that images have three channels (--input-shape ${tops[0]}=… sets another shape)`,
    );
  const batch = first[0] ?? 1;
  // AnnotatedData's label has a row for each box. If the number of boxes is unknown, each image has one.
  if (type === 'ImageSegData')
    return [first, known[1] ?? [batch, 1, ...first.slice(2)], known[2] ?? [batch, 1, 1, 2]].slice(
      0,
      tops.length,
    );
  const label = type === 'AnnotatedData' ? boxesShape(layer, batch) : [batch];
  return [first, known[1] ?? label].slice(0, tops.length);
}

/** A row for each box. MobileNet-YOLO's labels have room for 300 boxes per image. */
const boxesShape = ({ annotated_data_param }: LayerParameter, batch: number): Shape =>
  annotated_data_param?.yolo_data_type === 1 ? [batch, 1, 300, 5] : [1, 1, batch, 8];

function imageShape(layer: LayerParameter): Shape | null {
  const { param, batch } = (Object.hasOwn(IMAGE_TYPES, layer.type ?? '') && IMAGE_TYPES[layer.type!]) || {};
  if (param === undefined) return null;
  const fields = layer[param] as
    | { batch_size?: number; new_height?: number; new_width?: number; crop_size?: number }
    | undefined;
  const count = fields?.batch_size ?? batch;
  const {
    crop_size: crop,
    crop_height,
    crop_width,
  } = withDefaults<{ crop_size: number; crop_height: number; crop_width: number }>(
    'TransformationParameter',
    layer.transform_param,
  );
  const isCropped = layer.type === 'ImageSegData' && crop_height > 0;
  const [height, width] = isCropped
    ? [crop_height, crop_width]
    : crop > 0
      ? [crop, crop]
      : [fields?.new_height ?? 0, fields?.new_width ?? 0];
  if (!count || !height || !width) return null;
  return [count, channelsOf(layer) ?? 3, height, width];
}

const saysChannels = (layer: LayerParameter): boolean => channelsOf(layer) !== null;

function channelsOf({ type, image_data_param, transform_param }: LayerParameter): number | null {
  const transform = transform_param as
    | { mean_value?: readonly number[]; force_color?: boolean; force_gray?: boolean }
    | undefined;
  if (type === 'ImageData' || type === 'ImageSegData') return image_data_param?.is_color === false ? 1 : 3;
  if (type === 'WindowData') return 3;
  if (transform?.force_gray) return 1;
  if (transform?.force_color) return 3;
  return (transform?.mean_value?.length ?? 0) > 1 ? transform!.mean_value!.length : null;
}

/** The hint for a data layer with unknown shapes. */
export const shapeCure = ({ type, top: tops = [] }: LayerParameter): string =>
  `give ${tops.length > 1 ? 'them' : 'it'}: ${tops
    .map(
      (top, i) =>
        `--input-shape ${top}=${i === 0 ? '1x3x224x224' : type === 'AnnotatedData' ? '1x1x1x8' : '1'}`,
    )
    .join(' ')} (in code: inputShapes)`;

/** The blobs of a net that its user or its data supplies. */
export const inputNames = (layers: readonly LayerParameter[]): string[] =>
  layers.filter(({ bottom = [] }) => bottom.length === 0).flatMap(({ top = [] }) => top);

/** @throws ArgumentError for shapes of blobs that are not inputs, with the nearest name */
export function checkInputNames(inputs: readonly string[], shapes: object): void {
  for (const name of Object.keys(shapes))
    if (!inputs.includes(name))
      throw new ArgumentError(
        'inputShapes',
        `inputs of the net (${[...new Set(inputs)].join(', ') || 'it has none in this phase'})`,
        name,
        didYouMean(name, inputs),
      );
}
