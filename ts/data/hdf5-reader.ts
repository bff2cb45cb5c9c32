/** Reads the rows of HDF5 files (hdf5_data_layer.cpp): one dataset per top, with one file in memory at a time. */

import { readFile } from 'node:fs/promises';
import type { ErrorCode } from '../base/error-codes.ts';
import { DataError } from '../base/errors.ts';
import { checkFileSize, MAX_LIST_BYTES, readCause } from '../base/files.ts';
import { elementCount } from '../base/shape.ts';
import { wrongKind, wrongKindAt } from '../caffe/wrong-kind.ts';
import { Hdf5Dataset } from '../hdf5/dataset.ts';
import { Hdf5File, type Hdf5Group } from '../hdf5/file.ts';
import { Hdf5Problem } from '../hdf5/source.ts';
import type { Reader, ReaderSpec } from './reader.ts';

/**
 * The files that an HDF5Data layer's source names, one or several per line.
 * @param layer The name of the layer in errors.
 * @throws DataError `data/wrong-kind`, `data/list` if it names none, `data/not-found`; ResnodeError `file/too-large`
 */
export async function readHdf5List(file: string, layer: string): Promise<string[]> {
  checkFileSize(file, MAX_LIST_BYTES, 'lists of HDF5 files');
  const fail = (code: ErrorCode, text: string, cause?: unknown) =>
    new DataError(code, { layer, file }, text, { cause });
  let bytes: Buffer | null = null;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const wrong = wrongKindAt(file, 'hdf5 list');
    if (wrong !== null) throw fail('data/wrong-kind', wrong, error);
    throw fail('data/not-found', readCause(error as Error), error);
  }
  const files = bytes
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .split(/\s+/)
    .filter((name) => name !== '');
  if (files.length === 0) throw fail('data/list', 'the list is empty; expected names of HDF5 files');
  const wrong = wrongKind(bytes, 'hdf5 list');
  if (wrong !== null) throw fail('data/wrong-kind', wrong);
  return files;
}

interface Dataset {
  readonly shape: readonly number[];
  readonly values: Float32Array | null;
}

/** `describe` is called first and reads every file. */
export function hdf5Reader({ files, tops }: Extract<ReaderSpec, { kind: 'hdf5' }>): Reader {
  let starts: number[] = [];
  let loaded: { readonly file: number; readonly datasets: readonly Dataset[] } | null = null;
  return {
    async describe() {
      let first: readonly Dataset[] = [];
      const rows: number[] = [];
      for (const [i, file] of files.entries()) {
        const datasets = await readDatasets(file, tops, { values: false });
        if (i === 0) first = datasets;
        datasets.forEach(({ shape }, top) => {
          if (shape.slice(1).join('×') !== first[top]!.shape.slice(1).join('×'))
            throw new DataError(
              'data/size',
              { file },
              `the rows of "${tops[top]}" are ${shape.slice(1).join('×')}, in ${files[0]} ${first[top]!.shape.slice(1).join('×')}`,
            );
        });
        rows.push(datasets[0]!.shape[0]!);
      }
      starts = rows.map((_, i) => rows.slice(0, i).reduce((sum, count) => sum + count, 0));
      return {
        shapes: Object.fromEntries(tops.map((top, i) => [top, first[i]!.shape.slice(1)])),
        rows,
      };
    },
    async read(samples, shapes, output) {
      const sizes = tops.map((top) => elementCount(shapes[top]!));
      for (const [i, { index }] of samples.entries()) {
        const file = starts.findLastIndex((start) => start <= index);
        if (loaded?.file !== file)
          loaded = { file, datasets: await readDatasets(files[file]!, tops, { values: true }) };
        const row = index - starts[file]!;
        for (const [top, size] of sizes.entries())
          output[tops[top]!]!.set(
            loaded.datasets[top]!.values!.subarray(row * size, (row + 1) * size),
            i * size,
          );
      }
    },
    close: () => {},
  };
}

async function readDatasets(
  path: string,
  tops: readonly string[],
  options: { readonly values: boolean },
): Promise<Dataset[]> {
  let file: Hdf5File | null = null;
  try {
    file = await Hdf5File.open(path);
    return await datasetsOf(file.root, path, tops, options);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const wrong = wrongKindAt(path, 'hdf5');
    if (wrong !== null) throw new DataError('data/wrong-kind', { file: path }, wrong, { cause: error });
    const { message } = error as Error;
    if (!(error instanceof Hdf5Problem) || file === null)
      throw new DataError(
        'data/hdf5',
        { file: path },
        `cannot be opened (${message}); expected an HDF5 file`,
        {
          cause: error,
        },
      );
    const { kind } = error;
    throw kind === 'damaged'
      ? new DataError('data/hdf5', { file: path }, `is damaged (${message})`, { cause: error })
      : new DataError(`data/hdf5-${kind}`, { file: path }, message, { cause: error });
  } finally {
    await file?.close();
  }
}

async function datasetsOf(
  root: Hdf5Group,
  file: string,
  tops: readonly string[],
  { values }: { readonly values: boolean },
): Promise<Dataset[]> {
  const refuse = (text: string): DataError => new DataError('data/hdf5', { file }, text);
  const datasets: Dataset[] = [];
  for (const top of tops) {
    const dataset = root.get(top);
    if (!(dataset instanceof Hdf5Dataset))
      throw refuse(
        `has no dataset "${top}", a top of the layer; it has ${root.names().join(', ') || 'none'}`,
      );
    const { shape, type, typeName } = dataset;
    if (shape.length === 0 || (type.kind !== 'float' && type.kind !== 'integer'))
      throw refuse(
        `"${top}" is ${typeName} of shape ${shape.join('×')}; expected numbers with one row per sample`,
      );
    datasets.push({ shape, values: values ? await floatsOf(dataset, top) : null });
  }
  const [rows] = datasets[0]!.shape;
  const odd = datasets.findIndex(({ shape }) => shape[0] !== rows);
  if (odd >= 0) throw refuse(`"${tops[0]}" has ${rows} rows, "${tops[odd]}" ${datasets[odd]!.shape[0]}`);
  if (rows === 0) throw refuse('has no rows');
  return datasets;
}

async function floatsOf(dataset: Hdf5Dataset, top: string): Promise<Float32Array> {
  try {
    const values = await dataset.values();
    return values instanceof Float32Array
      ? values
      : Float32Array.from(values as ArrayLike<number | bigint>, Number);
  } catch (error) {
    if (error instanceof Hdf5Problem) throw new Hdf5Problem(error.kind, `"${top}": ${error.message}`);
    throw error;
  }
}
