/** Combines transform_param and `augment` into the transformation of each image. */
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import { readMeanImage } from '../images/mean-file.ts';
import { SSD_TRANSFORMS } from './annotated-param.ts';
import { checkAugment } from './augment.ts';
import type { Context } from './layer-context.ts';
import type { Transform } from './transform.ts';

const DEEPLAB_TRANSFORMS = ['scale_factors', 'crop_width', 'crop_height'] as const;

/** @param colour The layer's own field (is_color); null if it has none, so that those of transform_param count. */
export function transformOf(layer: LayerParameter, context: Context, colour: boolean | null): Transform {
  const param = withDefaults<{
    scale: number;
    mirror: boolean;
    crop_size: number;
    mean_file?: string;
    mean_value?: number[];
    force_color: boolean;
    force_gray: boolean;
  }>('TransformationParameter', layer.transform_param);
  const { options, path, refuse } = context;
  const foreign =
    layer.type === 'AnnotatedData'
      ? undefined
      : SSD_TRANSFORMS.find((field) => layer.transform_param?.[field]);
  if (foreign !== undefined)
    throw refuse(
      `${foreign} of SSD's fork is supported only by AnnotatedData; remove it from transform_param`,
    );
  const deeplabs =
    layer.type === 'ImageSegData'
      ? undefined
      : DEEPLAB_TRANSFORMS.find((field) => layer.transform_param?.[field]);
  if (deeplabs !== undefined)
    throw refuse(
      `${deeplabs} of DeepLab's fork is supported only by ImageSegData; remove it from transform_param`,
    );
  const augment = checkAugment(options.augment ?? {});
  const { scale, mirror, crop_size: cropSize, mean_file: file, mean_value: meanValues = [] } = param;
  if (file !== undefined && meanValues.length > 0)
    throw refuse('has both mean_file and mean_value; keep one');
  if (param.force_color && param.force_gray) throw refuse('has both force_color and force_gray; keep one');
  if (cropSize === 0 && (augment.pad || Array.isArray(augment.shorterSide)))
    throw refuse('augment.pad and a drawn augment.shorterSide need a crop_size in transform_param');
  if (cropSize === 0 && augment.resizedCrop !== undefined)
    throw refuse('augment.resizedCrop needs a crop_size in transform_param as its size');
  if (augment.resizedCrop !== undefined && file !== undefined && !augment.meanOfCrop)
    throw refuse(
      "augment.resizedCrop cuts regions of varying size, from which a mean of whole images cannot be subtracted: give mean_value, or a mean_file of the crop's size with augment.meanOfCrop",
    );
  if (augment.meanOfCrop && file === undefined)
    throw refuse('augment.meanOfCrop needs a mean_file in transform_param');
  const forced = param.force_color ? true : param.force_gray ? false : null;
  return {
    phase: options.phase,
    scale,
    mirror,
    cropSize,
    mean: file === undefined ? null : readMeanImage(path(file)),
    meanValues,
    colour: colour ?? forced,
    augment,
  };
}
