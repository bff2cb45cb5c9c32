/** Rules about the mean, the crop and the channels of a data layer's transform_param (data_transformer.cpp). */

import { ResnodeError } from '../../base/errors.ts';
import type { Blob } from '../../caffe/blob.ts';
import { readBinaryproto } from '../../caffe/caffemodel.ts';
import { positionOf } from '../../caffe/message.ts';
import type { LayerParameter } from '../../caffe/net-parameter.ts';
import { type Found, type LintNet, nameOf, type Rule } from './rule.ts';

interface Transform {
  crop_size?: number;
  mean_file?: string;
  mean_value?: number[];
  force_color?: boolean;
  force_gray?: boolean;
}

/** The known facts about images before the crop. Data layers other than ImageData state none. */
interface Images {
  readonly channels: number | undefined;
  readonly height: number | undefined;
  readonly width: number | undefined;
}

function imagesOf({ image_data_param: param }: LayerParameter, transform: Transform): Images {
  const isColour = param?.is_color as boolean | undefined;
  const channels =
    param === undefined
      ? transform.force_gray
        ? 1
        : transform.force_color
          ? 3
          : undefined
      : isColour === false
        ? 1
        : 3;
  return {
    channels,
    height: (param?.new_height as number | undefined) || undefined,
    width: (param?.new_width as number | undefined) || undefined,
  };
}

function* transforms({ states }: LintNet) {
  for (const { layers } of states)
    for (const layer of layers) {
      if (layer.transform_param === undefined) continue;
      const transform = layer.transform_param as Transform;
      yield { layer, transform, images: imagesOf(layer, transform) };
    }
}

function* meanValues(net: LintNet): Iterable<Found> {
  for (const { layer, transform, images } of transforms(net)) {
    const count = transform.mean_value?.length ?? 0;
    const position = positionOf(transform, 'mean_value');
    if (count > 0 && transform.mean_file !== undefined)
      yield {
        position,
        message: `${nameOf(layer)} has both mean_file and mean_value: Caffe refuses it`,
        fix: 'keep one',
      };
    else if (count > 1 && images.channels !== undefined && count !== images.channels)
      yield {
        position,
        message: `${nameOf(layer)} has ${count} mean_value, but its images have ${images.channels === 1 ? 'one channel' : `${images.channels} channels`}`,
      };
    else if (count > 1 && count !== 3 && images.channels === undefined)
      yield {
        position,
        level: 'warning',
        message: `${nameOf(layer)} has ${count} mean_value: correct only for images with ${count} channels`,
      };
  }
}

function* meanImages(net: LintNet): Iterable<Found> {
  for (const { layer, transform, images } of transforms(net)) {
    const { mean_file: file, crop_size: crop = 0 } = transform;
    const bytes = file === undefined ? undefined : net.read(file);
    if (bytes === undefined) continue;
    const found = (message: string, level?: 'note'): Found => ({
      position: positionOf(transform, 'mean_file'),
      message: `${nameOf(layer)}: ${message}`,
      ...(level === undefined ? {} : { level }),
    });
    let mean: Blob;
    try {
      mean = readBinaryproto(bytes, { file: file! });
    } catch (error) {
      if (!(error instanceof ResnodeError)) throw error;
      yield found(`the mean image cannot be read: ${error.message}`);
      continue;
    }
    const [channels, height, width] = mean.shape.slice(-3) as [number, number, number];
    const size = `the mean image is ${channels}×${height}×${width}`;
    const differs = (a: number | undefined, b: number) => a !== undefined && a !== b;
    if (differs(images.channels, channels) || differs(images.height, height) || differs(images.width, width))
      yield found(
        `${size}, the images are ${[images.channels ?? channels, images.height ?? '?', images.width ?? '?'].join('×')}`,
      );
    else if (crop > height || crop > width) yield found(`${size}, smaller than crop_size ${crop}`);
    else if (crop !== 0 && images.height === undefined && crop === height && crop === width)
      yield found(
        `${size}, the size of the crop: Caffe accepts it only for images that are stored in this size (MSRA subtracted its own after the crop)`,
        'note',
      );
  }
}

function* crops(net: LintNet): Iterable<Found> {
  for (const { layer, transform, images } of transforms(net)) {
    const crop = transform.crop_size ?? 0;
    const small = [images.height, images.width].find((length) => length !== undefined && length < crop);
    if (small !== undefined)
      yield {
        position: positionOf(transform, 'crop_size'),
        message: `${nameOf(layer)} crops ${crop} pixels from images of ${images.height}×${images.width}`,
      };
  }
}

export const dataRules: readonly Rule[] = [
  {
    name: 'mean-value-count',
    level: 'error',
    on: 'net',
    finds: 'mean_value that is given neither once nor once per channel, or together with mean_file',
    why: 'data_transformer.cpp checks both, the number of values at the first image.',
    fix: 'give mean_value once, or once per channel in the order B, G, R',
    check: meanValues,
  },
  {
    name: 'mean-image-size',
    level: 'error',
    on: 'net',
    finds: 'a mean image whose size differs from that of the images before the crop (if the file exists)',
    why: 'data_transformer.cpp (Transform) compares the mean with the image before the crop, not after it.',
    fix: 'compute the mean from images of that size (compute_image_mean), or give mean_value',
    check: meanImages,
  },
  {
    name: 'crop-size',
    level: 'error',
    on: 'net',
    finds: 'a crop larger than the images',
    why: 'data_transformer.cpp (InferBlobShape) refuses it.',
    fix: 'make new_height and new_width at least crop_size',
    check: crops,
  },
];
