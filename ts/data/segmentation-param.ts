/** Reads image_data_param and transform_param of ImageSegData (DeepLab's fork: image_seg_data_layer.cpp). */
import { DataError } from '../base/errors.ts';
import { readCause } from '../base/files.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import { readLines } from './image-list.ts';
import type { Context } from './layer-context.ts';
import { checkIsListFile } from './list-lines.ts';
import type { ListedImage, SegmentationSpec } from './reader.ts';
import { transformOf } from './transform-param.ts';

interface Parameters {
  readonly source?: string;
  readonly batch_size: number;
  readonly rand_skip: number;
  readonly shuffle: boolean;
  readonly new_height: number;
  readonly new_width: number;
  readonly is_color: boolean;
  readonly root_folder: string;
  readonly label_type: SegmentationSpec['labels'];
  readonly ignore_label: number;
}

export interface SegmentationList {
  readonly reader: SegmentationSpec;
  readonly batch: number;
  readonly shuffle: boolean;
  /** The prefix of each name. */
  readonly root: string;
  readonly lines: readonly ListedImage[];
  /** The largest number of samples that are skipped at the start. */
  readonly skip: number;
}

/** @throws DataError that names the layer, or the line of its list */
export async function segmentationSpecOf(layer: LayerParameter, context: Context): Promise<SegmentationList> {
  const p = withDefaults<Parameters>('ImageDataParameter', layer.image_data_param);
  const { tops, options, path, refuse } = context;
  const { source, new_height: height, new_width: width, label_type: labels, ignore_label: ignoreLabel } = p;
  if (source === undefined)
    throw refuse('image_data_param has no source; expected a list with "image classes" lines');
  if (tops.length < 2 || tops.length > 3)
    throw refuse(
      `has ${tops.length} tops; ImageSegData has data, label and, if the net reads it, the images' size`,
    );
  if ((height === 0) !== (width === 0)) throw refuse('give both new_height and new_width, or neither');
  if (!(ignoreLabel >= 0 && ignoreLabel <= 255))
    throw refuse(`ignore_label must be from 0 to 255, the values of a pixel; found ${ignoreLabel}`);
  const transform = transformOf(layer, context, p.is_color);
  if (transform.mean !== null) throw refuse('ImageSegData takes no mean_file: give mean_value');
  const own = Object.keys(options.augment ?? {}).find(
    (field) => !['shuffle', 'orientation', 'maxPixels'].includes(field),
  );
  if (own !== undefined)
    throw refuse(
      `augment.${own} does not apply to ImageSegData, because it would not change the label map; use scale_factors, mirror and crop_size`,
    );
  const lines = await readPairs(path(source), labels);
  if (p.rand_skip > lines.length) throw refuse(`rand_skip ${p.rand_skip} skips all ${lines.length} images`);
  return {
    reader: {
      kind: 'segmentation',
      list: source,
      tops,
      resize: height === 0 ? null : { width, height },
      transform,
      crop: cropOf(layer, context),
      factors: factorsOf(layer, context),
      labels,
      ignoreLabel,
    },
    batch: p.batch_size,
    shuffle: p.shuffle,
    root: p.root_folder,
    lines,
    skip: p.rand_skip,
  };
}

function cropOf({ transform_param }: LayerParameter, { refuse }: Context): SegmentationSpec['crop'] {
  const p = withDefaults<{ crop_size: number; crop_height: number; crop_width: number }>(
    'TransformationParameter',
    transform_param,
  );
  const [height, width] = [p.crop_height, p.crop_width];
  if (height > 0 !== width > 0 || (height > 0 && p.crop_size > 0))
    throw refuse('give crop_size, or both crop_height and crop_width');
  if (height > 0) return { height, width };
  return p.crop_size > 0 ? { height: p.crop_size, width: p.crop_size } : null;
}

function factorsOf({ transform_param }: LayerParameter, { refuse }: Context): readonly number[] {
  const { scale_factors: factors = [] } = (transform_param ?? {}) as { scale_factors?: number[] };
  const wrong = factors.find((factor) => !(factor > 0 && factor <= MOST_SCALED));
  if (wrong !== undefined)
    throw refuse(`scale_factors must be above 0 and up to ${MOST_SCALED}, found ${wrong}`);
  return factors;
}

/** The number of pixels grows by the square of the factor. */
const MOST_SCALED = 16;

/** Reads lines with an image and, after a space, its classes: another image, or one class for the whole image. */
async function readPairs(file: string, labels: SegmentationSpec['labels']): Promise<ListedImage[]> {
  const expected = { PIXEL: 'image and label map', IMAGE: 'image and class', NONE: 'image' }[labels];
  const pairs: ListedImage[] = [];
  let line = 0;
  await checkIsListFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof DataError || error.code === undefined) throw error;
    throw new DataError('data/not-found', { file }, readCause(error), { cause: error });
  });
  for await (const text of readLines(file)) {
    line++;
    const [path, second, ...others] = text.trim().split(/\s+/);
    if (path === undefined || path === '') continue;
    const label = labels === 'IMAGE' ? Number(second) : 0;
    if (
      labels !== 'NONE' &&
      (second === undefined || !(Number.isInteger(label) && label >= 0 && label <= 255))
    )
      throw new DataError(
        'data/list',
        { file: `${file}:${line}` },
        `expected ${expected}, separated by a space (label_type: ${labels}); found "${text.slice(0, 200)}"`,
      );
    if (others.length > 0)
      throw new DataError(
        'data/list',
        { file: `${file}:${line}` },
        `expected ${expected} and nothing after them, found ${2 + others.length} words: "${text.slice(0, 200)}"; paths have no spaces here`,
      );
    pairs.push({ path, label, line, ...(labels === 'PIXEL' ? { map: second! } : {}) });
  }
  if (pairs.length === 0)
    throw new DataError('data/list', { file }, `the list is empty; expected ${expected} per line`);
  return pairs;
}
