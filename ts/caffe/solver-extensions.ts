/** resnode's extensions of a solver, and those of them that Caffe would refuse. */
import type { CodeOf } from '../base/error-codes.ts';
import type { SolverParameter } from './solver-parameter.ts';

/** Types of solvers that Caffe lacks. */
export const EXTENSION_TYPES = ['AdamW', 'LARS'] as const;

/** The extensions, as written or by default. */
export interface SolverExtensions {
  readonly type: string;
  readonly base_lr: number;
  readonly momentum: number;
  readonly momentum_convention: string;
  readonly lars_trust: number;
  readonly ema_decay: number;
  readonly label_smoothing: number;
  readonly mixup: number;
}

/** The values of settings without extensions: schema.ts's defaults. */
const DEFAULTS = {
  momentum_convention: 'caffe',
  lars_trust: 0.001,
  ema_decay: 0,
  label_smoothing: 0,
  mixup: 0,
} as const;

const isSaid = (field: keyof typeof DEFAULTS, settings: SolverExtensions): boolean =>
  settings[field] !== DEFAULTS[field];

type Refuse = (solver: SolverParameter, field: string, code: CodeOf<'solver'>, text: string) => never;

/** @throws the error of `refuse`, at the field */
export function checkExtensions(solver: SolverParameter, settings: SolverExtensions, refuse: Refuse): void {
  const { type, momentum_convention, lars_trust, ema_decay, label_smoothing, mixup } = settings;
  const wrong = (field: string, text: string) => refuse(solver, field, 'extension-value', text);
  if (momentum_convention !== 'caffe' && momentum_convention !== 'dampened')
    wrong(
      'momentum_convention',
      `momentum_convention must be "caffe" or "dampened", found "${momentum_convention}"`,
    );
  if (momentum_convention === 'dampened' && type !== 'SGD')
    wrong(
      'momentum_convention',
      `momentum_convention "dampened" belongs to type "SGD", found "${type}"; remove it`,
    );
  if (isSaid('lars_trust', settings) && type !== 'LARS')
    wrong('lars_trust', `lars_trust belongs to type "LARS", found "${type}"; remove it`);
  if (!(lars_trust > 0)) wrong('lars_trust', `lars_trust must be above 0, found ${lars_trust}`);
  for (const [field, value] of Object.entries({ ema_decay, label_smoothing }))
    if (!(value >= 0 && value < 1)) wrong(field, `${field} must be at least 0 and below 1, found ${value}`);
  if (!(mixup >= 0 && mixup < Number.POSITIVE_INFINITY))
    wrong('mixup', `mixup, the α of Beta(α, α), must be at least 0, found ${mixup}`);
}

/** A sentence about each extension that a solver uses: such a file no longer trains in Caffe. */
export function extensionsOf(
  settings: SolverExtensions,
): { readonly field: string; readonly message: string }[] {
  const { type, base_lr, momentum, momentum_convention } = settings;
  const found: { field: string; message: string }[] = [];
  if (EXTENSION_TYPES.some((name) => name === type))
    found.push({ field: 'type', message: `type "${type}" is an extension; Caffe has no such solver` });
  for (const field of Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[])
    if (isSaid(field, settings))
      found.push({ field, message: `${field} is an extension; Caffe refuses a solver with this field` });
  if (momentum_convention === 'dampened')
    found.push({
      field: 'momentum_convention',
      message: `with "dampened", base_lr ${short(base_lr)} has the effect of ${short(base_lr * (1 - momentum))} in Caffe's convention: Caffe's rate is the dampened one times 1 − momentum`,
    });
  return found;
}

/** A float32 in its shortest form. */
const short = (value: number) => Number(value.toPrecision(6));
