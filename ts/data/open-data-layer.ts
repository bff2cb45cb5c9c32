/** Opens the source of a data layer. Rules and defaults are those of Caffe's layer of that type. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { having, integer, oneOf, path } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { mix, shuffled } from '../base/random.ts';
import { type FillerSpec, fillerProblem } from '../caffe/fillers.ts';
import { refusalOf } from '../caffe/message.ts';
import { type LayerParameter, layerParameter, withDefaults } from '../caffe/net-parameter.ts';
import { declaredShapes } from '../layers/data.ts';
import { annotatedTransformOf } from './annotated-param.ts';
import { augment } from './augment.ts';
import { balancedOrder } from './balanced-order.ts';
import { readHdf5List } from './hdf5-reader.ts';
import { readImageList } from './image-list.ts';
import { IteratorSource } from './iterator-source.ts';
import { type Context, type DataLayerOptions, refuserOf } from './layer-context.ts';
import { isLevelDb } from './leveldb/leveldb.ts';
import { type Ahead, PrefetchedSource } from './prefetched-source.ts';
import type { Description, ListedImage } from './reader.ts';
import { segmentationSpecOf } from './segmentation-param.ts';
import type { Batch, DataSource, OpenedSource } from './source.ts';
import type { Stream } from './stream.ts';
import { transformOf } from './transform-param.ts';
import { windowSpecOf } from './window-param.ts';

/** The types of layers that openDataLayer supports. */
export const DATA_LAYERS = [
  'Data',
  'ImageData',
  'ImageSegData',
  'HDF5Data',
  'AnnotatedData',
  'WindowData',
  'DummyData',
  'MemoryData',
  'Input',
] as const;

/** Rows that a layer and a net share. */
export const dataRows = {
  phase: required(oneOf('TRAIN', 'TEST'), 'The phase of the batches.'),
  seed: optional(integer(), '1', 'The seed of all random numbers.'),
  folder: optional(path, 'the working folder', 'The folder that file names are relative to.'),
  rank: optional(integer(0), '0', 'The rank of this process among those that train together.'),
  ranks: optional(integer(1), '1', 'The number of processes that train together.'),
  share: optional(
    oneOf('samples', 'batches'),
    'samples',
    'What each process takes of the common order: every `ranks`th sample or every `ranks`th batch.',
  ),
  augment: optional(augment, 'none', 'Augmentations beside transform_param.'),
  workers: optional(integer(1, 64), "as many as libuv's pool", 'The number of threads.'),
};

const OPEN_DATA_LAYER = signature('openDataLayer', {
  layer: required(layerParameter, 'A data layer.'),
  options: required(
    options<DataLayerOptions>({
      ...dataRows,
      iterator: optional(
        having<AsyncIterable<Batch>>('an async iterable'),
        "the layer's own data",
        'An iterator that makes the batches of an Input or MemoryData layer.',
      ),
    }),
    'How to read the data.',
  ),
});

/**
 * Opens the data of one layer. The first sample is read at once, so its faults are reported here.
 * @throws DataError that names the layer; ArgumentError for wrong options
 */
export async function openDataLayer(layer: LayerParameter, options: DataLayerOptions): Promise<OpenedSource> {
  OPEN_DATA_LAYER.check(layer, options);
  const { seed = 1, folder = '.', rank = 0, ranks = 1 } = options;
  const name = layer.name ?? '';
  const type = layer.type ?? '';
  const refuse = refuserOf(layer);
  if (!(Number.isInteger(ranks) && ranks >= 1 && Number.isInteger(rank) && rank >= 0 && rank < ranks))
    throw refuse(`rank ${rank} of ${ranks} is invalid`);
  const refusal = refusalOf(layer);
  if (refusal !== undefined) throw refusal;
  const tops = layer.top ?? [];
  if (options.augment?.balanced && type !== 'ImageData')
    throw refuse(
      `augment.balanced needs an image list (ImageData), whose labels are known in advance; ${type} would have to be read completely`,
    );
  const context: Context = { name, type, tops, options, refuse, path: (file) => resolve(folder, file) };
  const shapes = givenShapes(layer, context);
  if (options.iterator !== undefined) {
    if (shapes === null)
      throw refuse(
        `the shapes of ${type} come from its data; an iterator needs an Input or MemoryData layer`,
      );
    return new IteratorSource(name, shapes, options.iterator);
  }
  const ahead = (prefetch: unknown): Ahead => ({ seed: mix(seed), prefetch: Number(prefetch) });
  // base_data_layer.cpp uses the prefetch of data_param for every type.
  const { prefetch } = withDefaults<{ prefetch: number }>('DataParameter', layer.data_param);
  const open = async (stream: Stream) => PrefetchedSource.open(stream, ahead(prefetch));
  switch (type) {
    case 'Data':
      return open(await dataStream(layer, context));
    case 'AnnotatedData':
      return open(await annotatedStream(layer, context));
    case 'ImageData':
      return open(await imageStream(layer, context));
    case 'ImageSegData':
      return open(await segmentationStream(layer, context));
    case 'HDF5Data':
      return open(await hdf5Stream(layer, context));
    case 'WindowData':
      return open(windowStream(layer, context));
    case 'DummyData':
      return open(dummyStream(context, shapes!, layer));
    case 'Input':
    case 'MemoryData':
      throw refuse(
        `${type} has no data of its own; replace it by a layer that reads data (Data, ImageData, HDF5Data), as \`resnode print --train\` does in a deploy net, or, in code, give an iterator of batches (${Object.keys(shapes!).join(', ')})`,
      );
    default:
      throw refuse(`${type} is not a data layer that resnode reads; use one of ${DATA_LAYERS.join(', ')}`);
  }
}

interface DataParameter {
  readonly source?: string;
  readonly batch_size?: number;
  readonly force_encoded_color: boolean;
}

async function dataStream(layer: LayerParameter, context: Context): Promise<Stream> {
  const param = withDefaults<DataParameter>('DataParameter', layer.data_param);
  const { tops, refuse } = context;
  if (tops.length < 1 || tops.length > 2) throw refuse(`has ${tops.length} tops; Data has data and label`);
  const transform = transformOf(layer, context, null);
  const { path, backend, ...stream } = await databaseStream(layer, param, context);
  return {
    ...stream,
    reader: {
      kind: backend,
      path,
      tops: { data: tops[0]!, label: tops[1] ?? null },
      transform: { ...transform, colour: transform.colour ?? (param.force_encoded_color || null) },
    },
  };
}

/** annotated_data_layer.cpp of SSD's fork. */
async function annotatedStream(layer: LayerParameter, context: Context): Promise<Stream> {
  const param = withDefaults<DataParameter>('DataParameter', layer.data_param);
  const { tops, options, refuse } = context;
  if (tops.length < 1 || tops.length > 2)
    throw refuse(`has ${tops.length} tops; AnnotatedData has data and label`);
  if (options.augment?.shorterSide !== undefined)
    throw refuse('augment.shorterSide does not apply to AnnotatedData: use resize_param in transform_param');
  for (const field of ['resizedCrop', 'affine', 'jitter'] as const)
    if (options.augment?.[field] !== undefined)
      throw refuse(
        `augment.${field} does not apply to AnnotatedData, because it would not move the boxes: use batch_sampler, expand_param and distort_param`,
      );
  const transform = transformOf(layer, context, null);
  const annotated = annotatedTransformOf(layer, context);
  const { path, backend, ...stream } = await databaseStream(layer, param, context);
  return {
    ...stream,
    reader: {
      kind: 'annotated',
      backend,
      path,
      tops: { data: tops[0]!, label: tops[1] ?? null },
      transform: { ...transform, colour: transform.colour ?? (param.force_encoded_color || null) },
      annotated,
      batch: stream.batch,
    },
  };
}

/** The common part of both layers that read a database. */
async function databaseStream(layer: LayerParameter, param: DataParameter, context: Context) {
  const { options, path, refuse } = context;
  if (param.source === undefined) throw refuse('data_param has no source; expected the folder of a database');
  const shared = common(context, param.batch_size, options.phase === 'TRAIN');
  const database = path(param.source);
  // Caffe's default is LEVELDB; without a backend in the layer, the files decide.
  const written = layer.data_param?.backend ?? ((await isLevelDb(database)) ? 'LEVELDB' : 'LMDB');
  const backend = written === 'LEVELDB' ? ('leveldb' as const) : ('lmdb' as const);
  return {
    ...shared,
    path: database,
    backend,
    // Each worker opens its own LevelDB, and therefore reads it once for the keys.
    workers: shared.workers ?? (backend === 'leveldb' ? 1 : null),
    count: ({ count }: Description) => count!,
    order: options.augment?.shuffle
      ? (epoch: number, seed: number, { count }: Description) => shuffled(count!, mix(seed, epoch))
      : null,
  };
}

async function imageStream(layer: LayerParameter, context: Context): Promise<Stream> {
  const param = withDefaults<{
    source?: string;
    batch_size: number;
    rand_skip: number;
    shuffle: boolean;
    new_height: number;
    new_width: number;
    is_color: boolean;
    root_folder: string;
  }>('ImageDataParameter', layer.image_data_param);
  const { tops, options, path, refuse } = context;
  const { source, new_height: height, new_width: width, rand_skip: most } = param;
  if (source === undefined)
    throw refuse('image_data_param has no source; expected a list with "path label" lines');
  if (tops.length !== 2) throw refuse(`has ${tops.length} tops; ImageData has data and label`);
  for (const field of ['label_type', 'ignore_label'])
    if (layer.image_data_param?.[field] !== undefined)
      throw refuse(`${field} belongs to ImageSegData, which reads a class for each pixel; remove it`);
  if ((height === 0) !== (width === 0)) throw refuse('give both new_height and new_width, or neither');
  const list = path(source);
  const lines = await readImageList(list, { several: true });
  if (options.augment?.balanced && lines[0]!.labels !== undefined)
    throw refuse('augment.balanced needs a list with one class per image; this one has several values');
  checkRootFolder(param.root_folder, lines[0]!, context);
  const labels = options.augment?.balanced ? lines.map(({ label }) => label) : [];
  const skip = (seed: number) => (most === 0 ? 0 : mix(seed, 1) % most);
  if (skip(mix(options.seed ?? 1)) >= lines.length)
    throw refuse(`rand_skip ${most} skips all ${lines.length} images`);
  return {
    ...common(context, param.batch_size, options.phase === 'TRAIN'),
    reader: {
      kind: 'images',
      list: source,
      tops: { data: tops[0]!, label: tops[1]! },
      resize: height === 0 ? null : { width, height },
      transform: transformOf(layer, context, param.is_color),
    },
    // Caffe joins root_folder and the name without a slash, so root_folder must end with one.
    images: lines.map((line) => ({ ...line, path: path(param.root_folder + line.path) })),
    count: () => lines.length,
    order: options.augment?.balanced
      ? (epoch, seed) => balancedOrder(labels, mix(seed, epoch))
      : param.shuffle || options.augment?.shuffle
        ? (epoch, seed) => shuffled(lines.length, mix(seed, epoch))
        : null,
    skip,
  };
}

/** image_seg_data_layer.cpp of DeepLab's fork. */
async function segmentationStream(layer: LayerParameter, context: Context): Promise<Stream> {
  const { options, path } = context;
  const { batch, shuffle, root, lines, reader, skip } = await segmentationSpecOf(layer, context);
  checkRootFolder(root, lines[0]!, context);
  return {
    ...common(context, batch, options.phase === 'TRAIN'),
    reader,
    images: lines.map((line) => ({
      ...line,
      path: path(root + line.path),
      ...(line.map === undefined ? {} : { map: path(root + line.map) }),
    })),
    count: () => lines.length,
    order:
      shuffle || options.augment?.shuffle ? (epoch, seed) => shuffled(lines.length, mix(seed, epoch)) : null,
    skip: (seed) => (skip === 0 ? 0 : mix(seed, 1) % skip),
  };
}

/**
 * Caffe joins root_folder and the name without a slash.
 * @throws DataError if a slash is missing between them
 */
function checkRootFolder(root: string, { path: name, line }: ListedImage, { path, refuse }: Context): void {
  if (
    root === '' ||
    root.endsWith('/') ||
    existsSync(path(root + name)) ||
    !existsSync(path(`${root}/${name}`))
  )
    return;
  throw refuse(
    `line ${line} of the list makes "${root}${name}" of root_folder "${root}" and "${name}", which does not exist; Caffe joins the two without a slash: write root_folder: "${root}/"`,
  );
}

async function hdf5Stream(layer: LayerParameter, context: Context): Promise<Stream> {
  const {
    source,
    batch_size: batch,
    shuffle,
  } = withDefaults<{
    source?: string;
    batch_size?: number;
    shuffle: boolean;
  }>('HDF5DataParameter', layer.hdf5_data_param);
  const { tops, options, path, refuse } = context;
  if (source === undefined) throw refuse('hdf5_data_param has no source; expected a list of HDF5 files');
  if (tops.length === 0) throw refuse('has no tops; each names a dataset');
  if (layer.transform_param !== undefined)
    throw refuse('HDF5Data does not transform: remove transform_param');
  const files = (await readHdf5List(path(source), context.name)).map(path);
  return {
    ...common(context, batch, options.phase === 'TRAIN'),
    reader: { kind: 'hdf5', files, tops },
    count: ({ rows }) => rows!.reduce((sum, count) => sum + count, 0),
    order:
      shuffle || options.augment?.shuffle
        ? (epoch, seed, { rows }) => shuffledRows(rows!, mix(seed, epoch))
        : null,
    // A single worker holds the file in memory.
    workers: 1,
  };
}

/** Windows are drawn with replacement: there are no epochs. */
function windowStream(layer: LayerParameter, context: Context): Stream {
  const reader = windowSpecOf(layer, context);
  const shared = common(context, reader.batch, context.options.phase === 'TRAIN');
  return { ...shared, reader, count: () => null, order: null };
}

// As in Caffe: the files in random order, and then the rows of each.
async function shuffledRows(rows: readonly number[], seed: number): Promise<Uint32Array> {
  const starts = rows.map((_, i) => rows.slice(0, i).reduce((sum, count) => sum + count, 0));
  const order = new Uint32Array(rows.reduce((sum, count) => sum + count, 0));
  let at = 0;
  for (const file of await shuffled(rows.length, mix(seed, 0)))
    for (const row of await shuffled(rows[file]!, mix(seed, 1 + file))) order[at++] = starts[file]! + row;
  return order;
}

function dummyStream(context: Context, shapes: DataSource['shapes'], layer: LayerParameter): Stream {
  const given = (layer.dummy_data_param?.data_filler as object[] | undefined) ?? [];
  const { tops, refuse } = context;
  if (given.length > 1 && given.length !== tops.length)
    throw refuse(`has ${given.length} data_filler; give none, one, or one per top (${tops.length})`);
  const fillers = tops.map((_, i) => withDefaults<FillerSpec>('FillerParameter', given[i] ?? given[0]));
  fillers.forEach((filler, i) => {
    const problem = fillerProblem(filler, shapes[tops[i]!]!);
    if (problem !== null) throw refuse(problem.text);
  });
  return {
    ...common(context, 1, true),
    batched: false,
    reader: {
      kind: 'dummy',
      tops: tops.map((name, i) => ({ name, shape: shapes[name]!, filler: fillers[i]! })),
    },
    count: () => null,
    order: null,
  };
}

function common(
  { name, options, refuse }: Context,
  batch: number | undefined,
  isShared: boolean,
): Pick<Stream, 'layer' | 'batch' | 'batched' | 'skip' | 'rank' | 'ranks' | 'share' | 'images' | 'workers'> {
  if (!(Number.isInteger(batch) && batch! >= 1))
    throw refuse(`expected a batch_size of at least 1, found ${batch}`);
  const { rank = 0, ranks = 1, share = 'samples', workers = null } = options;
  return {
    share,
    layer: name,
    batch: batch!,
    batched: true,
    skip: () => 0,
    rank: isShared ? rank : 0,
    ranks: isShared ? ranks : 1,
    images: null,
    workers,
  };
}

/** The shapes that a prototxt gives; null for a type whose shapes depend on its data. */
export function givenShapes(
  layer: LayerParameter,
  { tops, refuse }: Context,
): Record<string, readonly number[]> | null {
  const shapes = declaredShapes(layer, refuse);
  return shapes && Object.fromEntries(tops.map((top, i) => [top, shapes[i]!]));
}
