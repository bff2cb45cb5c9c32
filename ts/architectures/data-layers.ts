/** The pair of data layers of a train_val net: TRAIN with augmentation, TEST without. */

import { boolean, either, integer, list, nullOr, number, oneOf, path, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';

export interface DataLayersOptions {
  /** LMDB folders of Datums (`Data`), or Caffe's list files with one `path label` per line (`ImageData`). */
  readonly kind: 'lmdb' | 'list';
  /** Paths relative to the working folder, as in Caffe. */
  readonly train: string;
  readonly test: string;
  /** The number of images in one forward pass. */
  readonly batch: number;
  readonly testBatch: number;
  /** The net's input blob. Default `data`. */
  readonly input?: string;
  /**
   * The side of the square that the net takes, cropped at random in TRAIN and from the centre in TEST; null: images keep
   * their size.
   */
  readonly crop: number | null;
  /** Whether TRAIN mirrors half of the images. */
  readonly mirror: boolean;
  /**
   * The mean that is subtracted: one value per channel in the order B, G, R, one for all, or the path of a mean image
   * (.binaryproto).
   */
  readonly mean: readonly number[] | string;
  /** The factor that is applied after the mean is subtracted. Default 1. */
  readonly scale?: number;
  /** With 1, images are read as grey. Default 3. */
  readonly channels?: number;
  /** For lists: the prefix of their paths. Default: none. */
  readonly rootFolder?: string;
  /** For lists: the size that images are resized to before the crop. Default: not resized. */
  readonly resize?: { readonly width: number; readonly height: number };
}

const DATA_LAYERS = signature('dataLayers', {
  options: required(
    options<DataLayersOptions>({
      kind: required(oneOf('lmdb', 'list'), 'The kind of the sources.'),
      train: required(path, 'The source of phase TRAIN.'),
      test: required(path, 'The source of phase TEST.'),
      batch: required(integer(1), 'The number of images in one forward pass of phase TRAIN.'),
      testBatch: required(integer(1), 'The number of images in one forward pass of phase TEST.'),
      input: optional(string, 'data', "The net's input blob."),
      crop: required(
        nullOr(integer(1)),
        'The side of the square that the net takes; null: images keep their size.',
      ),
      mirror: required(boolean, 'Whether phase TRAIN mirrors half of the images.'),
      mean: required(either(list(number(), { of: 'numbers' }), path), 'The mean that is subtracted.'),
      scale: optional(number(), '1', 'The factor that is applied after the mean is subtracted.'),
      channels: optional(integer(1), '3', 'The number of channels; with 1, images are read as grey.'),
      rootFolder: optional(string, 'nothing', 'The folder that the paths of lists are relative to.'),
      resize: optional(
        options<{ readonly width: number; readonly height: number }>({
          width: required(integer(1), 'The width in pixels.'),
          height: required(integer(1), 'The height in pixels.'),
        }),
        'not resized',
        'The size that images are resized to; for lists only.',
      ),
    }),
    'The sources and how their images are transformed.',
  ),
});

/** Two layers `data` with the tops `data` (or `input`) and `label`. */
export function dataLayers(options: DataLayersOptions): LayerParameter[] {
  DATA_LAYERS.check(options);
  const { kind, channels = 3, crop, mirror, mean, scale = 1, rootFolder, resize } = options;
  return (['TRAIN', 'TEST'] as const).map((phase) => {
    const isTrain = phase === 'TRAIN';
    const source = isTrain ? options.train : options.test;
    const batch_size = isTrain ? options.batch : options.testBatch;
    return {
      name: 'data',
      type: kind === 'lmdb' ? 'Data' : 'ImageData',
      top: [options.input ?? 'data', 'label'],
      include: [{ phase }],
      transform_param: {
        ...(scale === 1 ? {} : { scale }),
        ...(isTrain && mirror ? { mirror: true } : {}),
        ...(crop === null ? {} : { crop_size: crop }),
        ...(typeof mean === 'string' ? { mean_file: mean } : { mean_value: [...mean] }),
      },
      ...(kind === 'lmdb'
        ? { data_param: { source, batch_size, backend: 'LMDB' } }
        : {
            image_data_param: {
              source,
              batch_size,
              ...(isTrain ? { shuffle: true } : {}),
              ...(channels === 1 ? { is_color: false } : {}),
              ...(resize === undefined ? {} : { new_height: resize.height, new_width: resize.width }),
              // Caffe joins root_folder and the path without a slash.
              ...(rootFolder === undefined ? {} : { root_folder: rootFolder.replace(/\/*$/, '/') }),
            },
          }),
    };
  });
}
