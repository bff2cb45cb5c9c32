/** Kinds of values that exist only on the command line. */
import {
  boolean,
  integer,
  isObject,
  type Kind,
  kind,
  list,
  oneOf,
  shape,
  string,
  written,
} from '../base/kinds.ts';
import { type Option, optional } from '../base/options.ts';

/** The GPUs of processes that train together, by local rank. */
export type Gpus = readonly number[] | 'all';

/** A file for `resnode run`, and the shape of its blob if given. */
export interface InputFile {
  readonly name: string;
  readonly file: string;
  readonly shape: readonly number[] | null;
}

export const onOff = (description: string): Option<boolean> => optional(boolean, 'false', description);

export const text = string as Kind<string>;
export const blobNames = list(
  written(
    kind<string>('a name', (value) => typeof value === 'string' && value !== ''),
    (each) => each,
  ),
  {
    of: 'names',
  },
);

export const gpuId = integer(0, 999);
const gpuIds = list(gpuId, { of: 'numbers of GPUs' });
export const gpus: Kind<Gpus> = written(
  kind<Gpus>(
    'numbers of GPUs or "all"',
    (value) =>
      value === 'all' ||
      (gpuIds.mistake(value) === null && new Set(value as number[]).size === (value as number[]).length),
  ),
  (each) => (each === 'all' ? each : gpuIds.written!.read(each)),
  'numbers of GPUs, separated by commas, each once, or all',
);

export const inputFiles: Kind<readonly InputFile[]> = written(
  list(
    kind<InputFile>('an input', (value) => {
      const { shape: dims = null } = isObject(value) ? (value as InputFile) : {};
      return isObject(value) && (dims === null || shape.mistake(dims) === null);
    }),
  ),
  (each) => {
    const [, name, file, dims] = /^([^=]+)=([^\0]+?)(?::(\d+(?:[x,×]\d+)*))?$/.exec(each) ?? [];
    if (name === undefined) return undefined;
    return [{ name, file, shape: dims === undefined ? null : shape.written!.read(dims) }];
  },
  'NAME=FILE or NAME=FILE:SHAPE, such as data=image.f32:1x3x224x224, once per name',
  (before, value) => {
    const all = [...(before as InputFile[]), ...(value as InputFile[])];
    return new Set(all.map(({ name }) => name)).size < all.length ? undefined : all;
  },
);

const UNITS: Readonly<Record<string, number>> = { '': 1, MB: 1e6, MiB: 2 ** 20, GB: 1e9, GiB: 2 ** 30 };

export const byteCount: Kind<number> = written(
  // Nobody plans for less: "8" was meant as 8GiB.
  integer(2 ** 20, 2 ** 50),
  (each) => {
    const [, count, unit] = /^(\d{1,15}(?:\.\d{1,3})?) ?([MG]i?B)?$/.exec(each.trim()) ?? [];
    return count === undefined ? each : Math.floor(Number(count) * (UNITS[unit ?? ''] ?? Number.NaN));
  },
  'a size such as 8GiB, 12GB or 500MB, or a number of bytes from 1048576 on',
);

export const effect = (signal: string, fallback: string) =>
  optional(
    oneOf('stop', 'snapshot', 'none'),
    fallback,
    `What ${signal} does: stop (with a snapshot), snapshot or none.`,
  );
