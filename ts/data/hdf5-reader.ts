/** Reads the rows of HDF5 files (hdf5_data_layer.cpp): one dataset a top, one file in memory at a time. */
import { hdf5Library } from '../caffe/hdf5-file.ts';
import { DataError } from '../errors.ts';
import type { Reader, ReaderSpec } from './reader.ts';

interface Dataset {
  readonly shape: readonly number[];
  readonly values: Float32Array | null;
}

/** `describe` comes first: it looks at every file. */
export function hdf5Reader({ files, tops }: Extract<ReaderSpec, { kind: 'hdf5' }>): Reader {
  let starts: number[] = [];
  let loaded: { readonly file: number; readonly datasets: readonly Dataset[] } | null = null;
  return {
    async describe() {
      let first: readonly Dataset[] = [];
      const rows: number[] = [];
      for (const [i, file] of files.entries()) {
        const datasets = await readDatasets(file, tops, false);
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
      const sizes = tops.map((top) => shapes[top]!.reduce((product, dim) => product * dim, 1));
      for (const [i, { index }] of samples.entries()) {
        const file = starts.findLastIndex((start) => start <= index);
        if (loaded?.file !== file) loaded = { file, datasets: await readDatasets(files[file]!, tops, true) };
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

async function readDatasets(path: string, tops: readonly string[], values: boolean): Promise<Dataset[]> {
  const h5wasm = await hdf5Library();
  const refuse = (text: string, cause?: unknown): DataError =>
    new DataError('data/hdf5', { file: path }, text, { cause });
  let file: InstanceType<typeof h5wasm.File>;
  try {
    file = new h5wasm.File(path, 'r');
  } catch (error) {
    throw refuse('cannot be opened; expected an HDF5 file', error);
  }
  try {
    const datasets = tops.map((top) => {
      const dataset = file.keys().includes(top) ? file.get(top) : null;
      if (!(dataset instanceof h5wasm.Dataset))
        throw refuse(
          `has no dataset "${top}", a top of the layer; it has ${file.keys().join(', ') || 'none'}`,
        );
      const { shape, dtype } = dataset;
      if (shape === null || shape.length === 0 || !/^[<>|]?[fiubBhHlLqQd]\d*$/.test(String(dtype)))
        throw refuse(
          `"${top}" is ${dtype} of shape ${shape?.join('×')}; expected numbers with a row a sample`,
        );
      const numbers = values ? Float32Array.from(dataset.value as ArrayLike<number | bigint>, Number) : null;
      return { shape, values: numbers };
    });
    const [rows] = datasets[0]!.shape;
    const odd = datasets.findIndex(({ shape }) => shape[0] !== rows);
    if (odd >= 0) throw refuse(`"${tops[0]}" has ${rows} rows, "${tops[odd]}" ${datasets[odd]!.shape[0]}`);
    if (rows === 0) throw refuse('has no rows');
    return datasets;
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw refuse(`is damaged (${(error as Error).message.split('\n')[0]})`, error);
  } finally {
    file.close();
  }
}
