/**
 * Reads from an AnnotatedData layer of SSD's fork what happens to images and boxes; unsupported fields are refused by name.
 */

import { type Message, positionOf } from '../caffe/message.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import type { Context } from './layer-context.ts';
import type { ResizeMode } from './resize-modes.ts';

/** Plain data that can be sent to a worker. */
export interface AnnotatedTransform {
  readonly samplers: readonly BatchSampler[];
  readonly distort: Distortion | null;
  readonly expand: { readonly probability: number; readonly most: number } | null;
  /** One of the modes, which is drawn for each image. */
  readonly resize: {
    readonly width: number;
    readonly height: number;
    readonly modes: readonly ResizeMode[];
  } | null;
  /** Keeps boxes whose centre, or a minimum share of which, is inside the cut; null keeps all boxes that it touches. */
  readonly emit: { readonly type: 'CENTER' | 'MIN_OVERLAP'; readonly overlap: number } | null;
}

export interface BatchSampler {
  readonly useOriginal: boolean;
  readonly scale: readonly [least: number, most: number];
  readonly ratio: readonly [least: number, most: number];
  readonly constraint: Readonly<Record<Constraint, { readonly least: number; readonly most: number } | null>>;
  /** Null: as many as the trials find. */
  readonly mostSamples: number | null;
  readonly trials: number;
}
export type Constraint = 'overlap' | 'sampleCoverage' | 'objectCoverage';

export interface Distortion {
  readonly brightness: { readonly probability: number; readonly delta: number };
  readonly contrast: Span;
  readonly saturation: Span;
  readonly hue: { readonly probability: number; readonly delta: number };
  readonly order: number;
}
interface Span {
  readonly probability: number;
  readonly least: number;
  readonly most: number;
}

/** Fields of transform_param that SSD's fork adds. */
export const SSD_TRANSFORMS = [
  'resize_param',
  'noise_param',
  'distort_param',
  'expand_param',
  'emit_constraint',
  'crop_h',
  'crop_w',
] as const;

/** @throws errors that `refuse` creates */
export function annotatedTransformOf(layer: LayerParameter, { refuse }: Context): AnnotatedTransform {
  const param: Message = layer.annotated_data_param ?? {};
  const transform: Message = layer.transform_param ?? {};
  const refuseAt = (of: Message | undefined, field: string, text: string) => {
    const at = positionOf(of, field);
    throw refuse(`${text}${at === undefined ? '' : ` (line ${at.line})`}`);
  };
  if (param.yolo_data_type === 1)
    refuseAt(
      param,
      'yolo_data_type',
      "yolo_data_type: 1, rows of class, centre, width and height, is not supported here: feed such labels as inputs, or remove it to get SSD's rows",
    );
  const noise = withDefaults<{ prob: number }>('NoiseParameter', transform.noise_param as Message);
  if (noise.prob > 0) refuseAt(transform, 'noise_param', 'noise_param is not supported: remove it');
  for (const field of ['crop_h', 'crop_w'])
    if (transform[field])
      refuseAt(transform, field, `${field} is not supported: use crop_size, or resize_param`);
  if (transform.expand_param !== undefined && transform.mean_file !== undefined)
    refuseAt(
      transform,
      'expand_param',
      'expand_param fills the border with mean_value: give mean_value instead of mean_file',
    );
  return {
    samplers: ((param.batch_sampler as Message[] | undefined) ?? []).map((sampler) =>
      samplerOf(sampler, refuse),
    ),
    distort: distortionOf(transform.distort_param as Message | undefined, refuse),
    expand: expansionOf(transform.expand_param as Message | undefined, refuse),
    resize: resizeOf((transform.resize_param as Message[] | undefined) ?? [], refuse),
    emit: emitOf(transform.emit_constraint as Message | undefined),
  };
}

type Refuse = Context['refuse'];

function samplerOf(message: Message, refuse: Refuse): BatchSampler {
  const p = withDefaults<{
    use_original_image: boolean;
    max_sample?: number;
    max_trials: number;
    sampler?: Message;
    sample_constraint?: Message;
  }>('BatchSampler', message);
  const s = withDefaults<{
    min_scale: number;
    max_scale: number;
    min_aspect_ratio: number;
    max_aspect_ratio: number;
  }>('Sampler', p.sampler);
  if (!(s.min_scale > 0 && s.min_scale <= s.max_scale && s.max_scale <= 1))
    throw refuse(`a sampler's scales must be above 0 and up to 1, found ${s.min_scale} to ${s.max_scale}`);
  if (!(s.min_aspect_ratio > 0 && s.min_aspect_ratio <= s.max_aspect_ratio))
    throw refuse(
      `a sampler's aspect ratios must be above 0, found ${s.min_aspect_ratio} to ${s.max_aspect_ratio}`,
    );
  const c = (p.sample_constraint ?? {}) as Readonly<Record<string, number | undefined>>;
  const span = (name: string) => {
    const [least, most] = [c[`min_${name}`], c[`max_${name}`]];
    return least === undefined && most === undefined ? null : { least: least ?? 0, most: most ?? 1 };
  };
  return {
    useOriginal: p.use_original_image,
    scale: [s.min_scale, s.max_scale],
    ratio: [s.min_aspect_ratio, s.max_aspect_ratio],
    constraint: {
      overlap: span('jaccard_overlap'),
      sampleCoverage: span('sample_coverage'),
      objectCoverage: span('object_coverage'),
    },
    mostSamples: p.max_sample ?? null,
    trials: p.max_trials,
  };
}

function distortionOf(message: Message | undefined, refuse: Refuse): Distortion | null {
  if (message === undefined) return null;
  const p = withDefaults<Record<string, number>>('DistortionParameter', message);
  const span = (name: string): Span => {
    const [least, most] = [p[`${name}_lower`]!, p[`${name}_upper`]!];
    if (!(least >= 0 && least <= most))
      throw refuse(
        `${name}_lower and ${name}_upper must be 0 at least and in order, found ${least} and ${most}`,
      );
    return { probability: p[`${name}_prob`]!, least, most };
  };
  const shift = (name: string) => {
    const delta = p[`${name}_delta`]!;
    if (!(delta >= 0)) throw refuse(`${name}_delta must be at least 0, found ${delta}`);
    return { probability: p[`${name}_prob`]!, delta };
  };
  return {
    brightness: shift('brightness'),
    contrast: span('contrast'),
    saturation: span('saturation'),
    hue: shift('hue'),
    order: p.random_order_prob!,
  };
}

function expansionOf(message: Message | undefined, refuse: Refuse): AnnotatedTransform['expand'] {
  if (message === undefined) return null;
  const p = withDefaults<{ prob: number; max_expand_ratio: number }>('ExpansionParameter', message);
  if (!(p.max_expand_ratio >= 1))
    throw refuse(`max_expand_ratio must be at least 1, found ${p.max_expand_ratio}`);
  return { probability: p.prob, most: p.max_expand_ratio };
}

function resizeOf([message, ...more]: readonly Message[], refuse: Refuse): AnnotatedTransform['resize'] {
  if (message === undefined) return null;
  if (more.length > 0)
    throw refuse(
      `resize_param is given ${more.length + 1} times, and MobileNet-YOLO draws one for each batch; keep one`,
    );
  const p = withDefaults<{
    prob: number;
    resize_mode: string;
    height: number;
    width: number;
    interp_mode?: ResizeMode[];
  }>('ResizeParameter', message);
  if (p.resize_mode !== 'WARP')
    throw refuse(`resize_mode: ${p.resize_mode} is not supported; use WARP (to height and width)`);
  if (p.prob !== 1)
    throw refuse(`resize_param with prob: ${p.prob} would leave images with different sizes; remove prob`);
  if (!(p.height > 0 && p.width > 0)) throw refuse('resize_param needs height and width');
  return { width: p.width, height: p.height, modes: p.interp_mode ?? ['LINEAR'] };
}

function emitOf(message: Message | undefined): AnnotatedTransform['emit'] {
  if (message === undefined) return null;
  const p = withDefaults<{ emit_type: 'CENTER' | 'MIN_OVERLAP'; emit_overlap?: number }>(
    'EmitConstraint',
    message,
  );
  return { type: p.emit_type, overlap: p.emit_overlap ?? 0 };
}
