/** What HDF5Output layers write during a run (hdf5_output_layer.cpp): datasets `data` and `label`. */
import { resolve } from 'node:path';
import { DataError } from '../base/errors.ts';
import { Hdf5Writer, needHdf5Writer } from '../caffe/hdf5-writer.ts';
import { fileShape, type Hdf5Output } from '../layers/sinks.ts';

type Blobs = Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>>;

/**
 * The files of one run. Each batch's rows follow those of the one before, where Caffe ends at the second; a file is in its
 * place when the run has ended, whole or not at all.
 */
export class Hdf5Files {
  readonly #files: readonly { readonly layer: Hdf5Output; readonly writer: Hdf5Writer }[];
  #hasRows = false;

  private constructor(files: readonly { readonly layer: Hdf5Output; readonly writer: Hdf5Writer }[]) {
    this.#files = files;
  }

  /**
   * @param layers Of the net that runs; their files are relative to the working folder, as for Caffe.
   * @throws DataError where two write to one file; ResnodeError `package/missing`, `file/write`
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

  /** The rows of a batch. @param blobs By the names that the layers have for them. */
  async add(blobs: Blobs): Promise<void> {
    try {
      for (const { layer, writer } of this.#files)
        for (const rowsOf of ['data', 'label'] as const) {
          const { shape, data } = blobs[layer[rowsOf]]!;
          // A copy, whose memory the writer's thread takes.
          await writer.write({ rowsOf, shape: fileShape(shape), data: data.slice() });
        }
      this.#hasRows = true;
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }

  /** Puts the files in their places; without a batch there are none. */
  async finish(): Promise<void> {
    if (!this.#hasRows) return this.abandon();
    this.#hasRows = false;
    for (const { writer } of this.#files) await writer.finish();
  }

  /** Ends without files; safe where they are finished. */
  async abandon(): Promise<void> {
    this.#hasRows = false;
    for (const { writer } of this.#files) await writer.abandon();
  }
}

/** The files of a run of one batch. @throws as `Hdf5Files.open` */
export async function writeHdf5Outputs(layers: readonly Hdf5Output[], blobs: Blobs): Promise<void> {
  const files = await Hdf5Files.open(layers);
  await files.add(blobs);
  await files.finish();
}

/** Before anything runs. @throws DataError where two layers write to one file; ResnodeError `package/missing` */
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
