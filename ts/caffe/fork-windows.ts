/**
 * Converts forks' fields of windows: `ceil_mode` (soeaver's, Synopsys's) becomes BVLC's round_mode, and `hole`
 * (DeepLab's; SegStereo's also has `hole_h` and `hole_w`) its dilation. Pads for each side (Synopsys's) become pad_h
 * and pad_w if opposite sides are equal; otherwise the layer reads them (layers/uneven-pads.ts).
 */
import type { CodeOf } from '../base/error-codes.ts';
import { PrototxtError } from '../base/errors.ts';
import { inheritPosition, type Message, positionOf } from './message.ts';

const HOLES = ['hole', 'hole_h', 'hole_w'] as const;
const SIDES = ['pad_l', 'pad_r', 'pad_t', 'pad_b'] as const;

/**
 * The layer with BVLC's fields.
 * @throws PrototxtError if these cannot express it, or if both are given
 */
export function renameWindowFields(layer: Message): Message {
  for (const name of ['convolution_param', 'pooling_param']) {
    const param = layer[name] as Message | undefined;
    if (param === undefined || !['ceil_mode', ...HOLES, ...SIDES].some((field) => param[field] !== undefined))
      continue;
    const { ceil_mode, hole, hole_h, hole_w, pad_l, pad_r, pad_t, pad_b, ...rest } = param;
    const renamed: Message = rest;
    inheritPosition(renamed, param);
    if (ceil_mode !== undefined) renamed.round_mode = roundMode(param);
    if (HOLES.some((field) => param[field] !== undefined)) renamed.dilation = dilation(param);
    if (SIDES.some((side) => param[side] !== undefined)) Object.assign(renamed, padding(param));
    const result = { ...layer, [name]: renamed };
    inheritPosition(result, layer);
    return result;
  }
  return layer;
}

function refuse(param: Message, field: string, code: CodeOf<'prototxt'>, text: string): PrototxtError {
  return new PrototxtError(
    `prototxt/${code}`,
    positionOf(param, field) ?? { file: '<message>', line: 1, column: 1 },
    text,
  );
}

function roundMode(param: Message): 'CEIL' | 'FLOOR' {
  const mode = param.ceil_mode ? 'CEIL' : 'FLOOR';
  if (param.round_mode !== undefined && param.round_mode !== mode)
    throw refuse(
      param,
      'ceil_mode',
      'rounding',
      `ceil_mode: ${param.ceil_mode} (a fork's name) says ${mode}, round_mode says ${param.round_mode}; keep one`,
    );
  return mode;
}

/** The sizes of a kernel: one for both sides, or one for each. */
function dilation(param: Message): readonly number[] {
  const first = HOLES.find((field) => param[field] !== undefined)!;
  if (param.dilation !== undefined)
    throw refuse(param, first, 'dilation', `${first} (DeepLab's name) is given beside dilation; keep one`);
  if (param.hole === undefined) return [(param.hole_h ?? 1) as number, (param.hole_w ?? 1) as number];
  if (param.hole_h !== undefined || param.hole_w !== undefined)
    throw refuse(param, 'hole', 'dilation', 'hole is given beside hole_h and hole_w; keep one kind');
  return [param.hole as number];
}

function padding(param: Message): Message {
  const side = (name: (typeof SIDES)[number]) => (param[name] ?? 0) as number;
  const first = SIDES.find((name) => param[name] !== undefined)!;
  const other = ['pad', 'pad_h', 'pad_w'].find((name) => param[name] !== undefined);
  if (other !== undefined)
    throw refuse(
      param,
      first,
      'padding',
      `${first} (a fork's field) is given beside ${other}; keep one kind`,
    );
  if (side('pad_l') !== side('pad_r') || side('pad_t') !== side('pad_b'))
    return Object.fromEntries(SIDES.filter((name) => name in param).map((name) => [name, side(name)]));
  return { pad_h: side('pad_t'), pad_w: side('pad_l') };
}
