/**
 * `resnode/data`: data for training and evaluation: Caffe's data layers, databases, lists of images, means, augmentation.
 * @module
 */

export { type Augment, IMAGENET_LIGHTING, type Lighting, readAugment } from '../data/augment.ts';
export type { Affine, Cutout, Jitter, ResizedCrop } from '../data/augmentations.ts';
export {
  convertAnnotatedImages,
  type ImageWithObjects,
  type NumberedObject,
} from '../data/convert-annotated.ts';
export {
  type ConvertRawOptions,
  convertImages,
  convertRawImages,
  type NamedImage,
} from '../data/convert-dataset.ts';
export type { Datum } from '../data/datum.ts';
export { type ImageListOptions, readImageList } from '../data/image-list.ts';
export type { ConvertDatasetOptions, ConvertImagesOptions } from '../data/image-records.ts';
export {
  type LabelList,
  type LabelListOptions,
  readLabelList,
  type SeveralLabels,
} from '../data/label-list.ts';
export type { DataLayerOptions } from '../data/layer-context.ts';
export { readLmdb } from '../data/lmdb.ts';
export { type MeanOfImages, type MeanOptions, meanOfImages, writeMeanImage } from '../data/mean-image.ts';
export { openDataLayer } from '../data/open-data-layer.ts';
export { type NetDataOptions, openNetData } from '../data/open-net-data.ts';
export { type RawImages, readCifar, readIdx } from '../data/raw-images.ts';
export type { ListedImage } from '../data/reader.ts';
export type { Batch, DataSource, OpenedSource } from '../data/source.ts';
export {
  type AnnotatedImagesOptions,
  readAnnotatedImages,
} from '../images/evaluate/boxes/annotated-images.ts';
