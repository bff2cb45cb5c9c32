/** Reads the first record of a data layer's source, which gives the shapes of the layer's tops. */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DataError } from '../base/errors.ts';
import { type LayerParameter, positionOf, withDefaults } from '../caffe/net-parameter.ts';
import { annotatedReader } from './annotated-reader.ts';
import { hdf5Reader, readHdf5List } from './hdf5-reader.ts';
import { readImageList } from './image-list.ts';
import { databaseReader, listReader } from './image-reader.ts';
import { isLevelDb } from './leveldb/leveldb.ts';
import type { Reader, Sample } from './reader.ts';
import { segmentationSpecOf } from './segmentation-param.ts';
import { segmentationReader } from './segmentation-reader.ts';
import type { Transform } from './transform.ts';

/** Types of layers whose shapes depend on their data, and their parameters. */
const READ = {
  Data: ['data_param', 'DataParameter'],
  AnnotatedData: ['data_param', 'DataParameter'],
  ImageData: ['image_data_param', 'ImageDataParameter'],
  ImageSegData: ['image_data_param', 'ImageDataParameter'],
  HDF5Data: ['hdf5_data_param', 'HDF5DataParameter'],
} as const;

/**
 * The shape of each top, batch first.
 * @throws DataError that says what is missing; the reader's errors
 */
export async function shapesOfFirstRecord(layer: LayerParameter): Promise<[string, readonly number[]][]> {
  const { name = '', type, top: tops = [] } = layer;
  const [field, message] = READ[type as keyof typeof READ];
  const param = withDefaults<{ source?: string; batch_size?: number }>(message, layer[field]);
  const { source, batch_size: batch = 0 } = param;
  const refuse = (text: string) => new DataError('data/layer', {}, text);
  if (source === undefined) throw refuse('it has no source');
  if (batch < 1) throw refuse('it has no batch_size');
  const find = finder(source, layer);
  if (!existsSync(find(source))) throw refuse(`"${source}" does not exist`);
  const reader = await open(layer, find, { source, tops, name, batch });
  try {
    const { shapes } = await reader.reader.describe(reader.first);
    const isWhole = (blob: string) => type === 'AnnotatedData' && blob === tops[1];
    return Object.entries(shapes).map(([blob, shape]) => [blob, isWhole(blob) ? shape : [batch, ...shape]]);
  } finally {
    await reader.reader.close();
  }
}

/** Resolves file names: relative to the working folder or, if the source is not there, to the prototxt's folder. */
function finder(source: string, layer: LayerParameter): (path: string) => string {
  const ownFolder = dirname(positionOf(layer)?.file ?? '.');
  const folder = !existsSync(source) && existsSync(join(ownFolder, source)) ? ownFolder : '.';
  return (path) => resolve(folder, path);
}

async function open(
  layer: LayerParameter,
  find: (path: string) => string,
  { source, tops, name, batch }: { source: string; tops: readonly string[]; name: string; batch: number },
): Promise<{ reader: Reader; first: Sample }> {
  const path = find(source);
  const first = { index: 0, seed: 0 };
  if (layer.type === 'HDF5Data') {
    const [file] = await readHdf5List(path, name);
    return { reader: hdf5Reader({ kind: 'hdf5', files: [find(file!)], tops }), first };
  }
  if (layer.type === 'ImageSegData') {
    const refuse = (text: string) => new DataError('data/layer', {}, text);
    const context = { name, type: layer.type, tops, options: { phase: 'TEST' }, refuse, path: find } as const;
    const { reader, lines, root } = await segmentationSpecOf(layer, context);
    const { path: image, map, ...line } = lines[0]!;
    const place = { path: find(root + image), ...(map === undefined ? {} : { map: find(root + map) }) };
    return { reader: segmentationReader(reader), first: { ...first, image: { ...line, ...place } } };
  }
  const imageTops = { data: tops[0] ?? name, label: tops[1] ?? null };
  if (layer.type === 'ImageData') {
    const param = withDefaults<{
      new_height: number;
      new_width: number;
      is_color: boolean;
      root_folder: string;
    }>('ImageDataParameter', layer.image_data_param);
    const [line] = await readImageList(path, { several: true });
    const resize = param.new_height === 0 ? null : { width: param.new_width, height: param.new_height };
    const image = { ...line!, path: find(param.root_folder + line!.path) };
    const transform = untransformed(layer, param.is_color);
    return {
      reader: listReader({ kind: 'images', list: source, tops: imageTops, resize, transform }),
      first: { ...first, image },
    };
  }
  const { force_color: colour, force_gray: grey } = (layer.transform_param ?? {}) as Record<string, boolean>;
  const transform = untransformed(
    layer,
    (colour ?? layer.data_param?.force_encoded_color) ? true : grey ? false : null,
  );
  const backend = layer.data_param?.backend ?? ((await isLevelDb(path)) ? 'LEVELDB' : 'LMDB');
  const kind = backend === 'LEVELDB' ? 'leveldb' : 'lmdb';
  if (layer.type === 'AnnotatedData') {
    const resize = layer.transform_param?.resize_param as { width: number; height: number }[] | undefined;
    const annotated = {
      samplers: [],
      distort: null,
      expand: null,
      resize: resize?.[0] === undefined ? null : { ...resize[0], modes: ['LINEAR'] as const },
      emit: null,
    };
    const spec = { path, tops: imageTops, transform, batch, backend: kind, annotated } as const;
    return { reader: await annotatedReader({ kind: 'annotated', ...spec }), first };
  }
  return { reader: await databaseReader({ kind, path, tops: imageTops, transform }), first };
}

/** The transformations that change a shape. */
function untransformed(layer: LayerParameter, colour: boolean | null): Transform {
  const { crop_size: cropSize } = withDefaults<{ crop_size: number }>(
    'TransformationParameter',
    layer.transform_param,
  );
  const rest = { phase: 'TEST', scale: 1, mirror: false, mean: null, meanValues: [], augment: {} } as const;
  return { ...rest, cropSize, colour };
}
