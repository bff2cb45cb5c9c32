/** The files that HDF5Output layers write in a run (hdf5_output_layer.cpp): datasets `data` and `label`. */
import { resolve } from 'node:path';
import { DataError } from '../base/errors.ts';
import { Hdf5Writer, needHdf5Writer } from '../caffe/hdf5-writer.ts';
import { fileShape, type Hdf5Output } from '../layers/sinks.ts';

type Blobs = Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>>;

/**
 * The files of one run. The rows of each batch are appended to those of the previous one, while Caffe ends at the second
 * batch. A file appears when the run has ended, completely or not at all.
 */
export class Hdf5Files {
  readonly #files: readonly { readonly layer: Hdf5Output; readonly writer: Hdf5Writer }[];
  #hasRows = false;

  private constructor(files: readonly { readonly layer: Hdf5Output; readonly writer: Hdf5Writer }[]) {
    this.#files = files;
  }

  /**
   * @param layers The HDF5Output layers of the net; their files are relative to the working folder, as in Caffe.
   * @throws DataError if two layers write to one file; ResnodeError `package/missing`, `file/write`
   */
  static async open(layers: readonly Hdf5Output[]): Promise<Hdf5Files> {
    checkHdf5Outputs(layers);
    const files: { layer: Hdf5Output; writer: Hdf5Writer }[] = [];
    try {
      for (const layer of layers) files.push({ layer, writer: await Hdf5Writer.create(resolve(layer.file)) });
      return new Hdf5Files(files);
    } catch (error) {
      for (const { writer } of files) await writer.abandon();
      throw error;
    }
  }

  /**
   * Appends the rows of a batch.
   * @param blobs Blobs by the layers' names for them.
   */
  async add(blobs: Blobs): Promise<void> {
    try {
      for (const { layer, writer } of this.#files)
        for (const rowsOf of ['data', 'label'] as const) {
          const { shape, data } = blobs[layer[rowsOf]]!;
          // Copies the data, because the writer's thread takes over the memory.
          await writer.write({ rowsOf, shape: fileShape(shape), data: data.slice() });
        }
      this.#hasRows = true;
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }

  /** Moves the files to their names; without a batch there are none. */
  async finish(): Promise<void> {
    if (!this.#hasRows) return this.abandon();
    this.#hasRows = false;
    for (const { writer } of this.#files) await writer.finish();
  }

  /** Ends without files; calling it after `finish` is safe. */
  async abandon(): Promise<void> {
    this.#hasRows = false;
    for (const { writer } of this.#files) await writer.abandon();
  }
}

/**
 * Writes the files of a run of one batch.
 * @throws as `Hdf5Files.open`
 */
export async function writeHdf5Outputs(layers: readonly Hdf5Output[], blobs: Blobs): Promise<void> {
  const files = await Hdf5Files.open(layers);
  await files.add(blobs);
  await files.finish();
}

/**
 * Checks before anything runs.
 * @throws DataError if two layers write to one file; ResnodeError `package/missing`
 */
export function checkHdf5Outputs(layers: readonly Hdf5Output[]): void {
  if (layers.length > 0) needHdf5Writer();
  layers.forEach(({ layer, file }, i) => {
    const other = layers.slice(0, i).find((each) => resolve(each.file) === resolve(file));
    if (other !== undefined)
      throw new DataError(
        'data/layer',
        { layer },
        `writes ${file}, as layer "${other.layer}" does; give each HDF5Output its own file_name, or keep it to one phase (include { phase: TEST })`,
      );
  });
}
