/** Reads window_data_param; fields that Caffe would silently ignore are refused or reported. */
import { warn } from '../base/warn.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import type { Context } from './layer-context.ts';
import type { WindowSpec } from './reader.ts';
import { transformOf } from './transform-param.ts';

interface Parameters {
  readonly source?: string;
  readonly scale: number;
  readonly batch_size?: number;
  readonly fg_threshold: number;
  readonly bg_threshold: number;
  readonly fg_fraction: number;
  readonly context_pad: number;
  readonly crop_mode: string;
  readonly root_folder: string;
}

const CROP_MODES = ['warp', 'square'];
/** The other augmentations change pixel positions, or come from another file. */
const AUGMENTS = ['orientation', 'maxPixels'];

/** @throws DataError that names the layer */
export function windowSpecOf(
  layer: LayerParameter,
  context: Context,
): WindowSpec & { readonly batch: number } {
  const { tops, options, path, refuse, name } = context;
  const param = withDefaults<Parameters>('WindowDataParameter', layer.window_data_param);
  const { source, batch_size: batch = 0, crop_mode: mode, context_pad: contextPad } = param;
  if (source === undefined) throw refuse('window_data_param has no source; expected a window file');
  if (batch < 1) throw refuse(`batch_size must be a positive integer, found ${param.batch_size}`);
  if (tops.length < 1 || tops.length > 2)
    throw refuse(`has ${tops.length} tops; WindowData has data and label`);
  // Caffe reads these fields from transform_param; its upgrade moves them there only in nets with old layers.
  for (const field of ['crop_size', 'mean_file', 'mirror'])
    if (layer.window_data_param?.[field])
      throw refuse(`window_data_param's ${field} has no effect in Caffe: write it in transform_param`);
  const augment = Object.keys(options.augment ?? {}).find((field) => !AUGMENTS.includes(field));
  if (augment !== undefined)
    throw refuse(`augment.${augment} does not apply to WindowData, which warps windows`);
  const transform = transformOf(layer, context, true);
  if (transform.cropSize < 1)
    throw refuse('needs a crop_size in transform_param, to which windows are warped');
  if (!CROP_MODES.includes(mode))
    throw refuse(`crop_mode is ${CROP_MODES.map((each) => `"${each}"`).join(' or ')}, found "${mode}"`);
  if (transform.cropSize <= 2 * contextPad)
    throw refuse(`context_pad ${contextPad} on both sides leaves nothing of crop_size ${transform.cropSize}`);
  if (!(param.fg_fraction >= 0 && param.fg_fraction <= 1))
    throw refuse(`fg_fraction must be a share of the batch, 0 to 1, found ${param.fg_fraction}`);
  checkMean(transform, refuse);
  if (transform.scale !== 1)
    warn(
      'data/ignored',
      `layer "${name}" (WindowData): transform_param's scale ${transform.scale} has no effect, as in Caffe; write it in window_data_param`,
    );
  return {
    kind: 'windows',
    source,
    file: path(source),
    // Caffe joins root_folder and the name without a slash, so root_folder must end with one.
    root: param.root_folder,
    folder: path('.'),
    tops: { data: tops[0]!, label: tops[1] ?? null },
    transform,
    scale: param.scale,
    contextPad,
    isSquare: mode === 'square',
    thresholds: { foreground: param.fg_threshold, background: param.bg_threshold },
    foreground: param.fg_fraction,
    batch,
  };
}

/** Checks that the part of a mean image exists which Caffe uses, by its width alone. */
function checkMean({ mean, meanValues, cropSize }: WindowSpec['transform'], refuse: Context['refuse']): void {
  if (meanValues.length > 1 && meanValues.length !== 3)
    throw refuse(`has 3 channels; give mean_value once or 3 times, not ${meanValues.length} times`);
  if (mean === null) return;
  const [channels, height, width] = mean.shape.slice(-3) as [number, number, number];
  const offset = Math.floor((width - cropSize) / 2);
  if (channels !== 3 || offset < 0 || offset + cropSize > height)
    throw refuse(
      `mean_file is ${mean.shape.slice(-3).join('×')}; expected 3 channels, with a height and width of at least crop_size ${cropSize}`,
    );
}
