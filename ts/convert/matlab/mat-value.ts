/** Values of a MAT-file of any version. Arrays are in MATLAB's order, with the first dimension fastest. */
import { WeightsError } from '../../base/errors.ts';

export type MatValue =
  | { readonly kind: 'numeric'; readonly dims: readonly number[]; readonly values: () => ArrayLike<number> }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'cell'; readonly items: readonly MatValue[] }
  /** The elements, each with its fields. */
  | { readonly kind: 'struct'; readonly items: readonly MatFields[] }
  /** Sparse matrices, function handles and objects, whose contents are not read. */
  | { readonly kind: 'other'; readonly what: string };

export type MatFields = ReadonlyMap<string, MatValue>;

/** Limits of a MAT-file: the depth of nesting, and the number of values of all kinds. */
const MAX_MAT_DEPTH = 32;
export const MAX_MAT_VALUES = 1_000_000;

export function matError(file: string, message: string): WeightsError {
  return new WeightsError('matlab/format', { file }, message);
}

export function matLimit(file: string, message: string): WeightsError {
  return new WeightsError('matlab/limit', { file }, message);
}

/**
 * Returns a function that counts the values of a file, to be called for each one with the depth at which it is nested.
 * @throws WeightsError `matlab/limit` from that function
 */
export function countingValues(file: string): (depth: number) => void {
  let values = 0;
  return (depth) => {
    if (++values > MAX_MAT_VALUES) throw matLimit(file, `it has more than ${MAX_MAT_VALUES} values`);
    if (depth > MAX_MAT_DEPTH) throw matLimit(file, `its values are nested deeper than ${MAX_MAT_DEPTH}`);
  };
}

/** A text, or null. */
export const textOf = (value: MatValue | undefined): string | null =>
  value?.kind === 'text' ? value.text : null;

/** The texts of a cell, or a single text; empty if there is none. */
export function textsOf(value: MatValue | undefined): string[] {
  if (value?.kind === 'text') return value.text === '' ? [] : [value.text];
  return value?.kind === 'cell' ? value.items.flatMap((item) => textsOf(item)) : [];
}

/** A few numbers; null if the value is not an array of numbers. */
export const numbersOf = (value: MatValue | undefined): number[] | null =>
  value?.kind === 'numeric' ? Array.from(value.values()) : null;

/** The fields of a struct of one element. */
export const fieldsOf = (value: MatValue | undefined): MatFields | null =>
  value?.kind === 'struct' ? (value.items[0] ?? null) : null;
