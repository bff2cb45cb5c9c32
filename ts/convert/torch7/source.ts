/** The primitive values of Torch7's files: numbers and texts, as bytes or as words (torch7/lib/TH/THDiskFile.c). */
import { WeightsError } from '../../base/errors.ts';

/** Bytes of a value of each type of storage. */
export const SIZES: Readonly<Record<string, number>> = {
  Double: 8,
  Float: 4,
  Cuda: 4,
  CudaDouble: 8,
  Long: 8,
  CudaLong: 8,
  Int: 4,
  CudaInt: 4,
  Short: 2,
  Char: 1,
  Byte: 1,
  CudaByte: 1,
};

/** Reads numbers one by one, in either form. */
export abstract class Source {
  at = 0;
  protected readonly bytes: Buffer;
  readonly #file: string;

  constructor(bytes: Uint8Array, file: string) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#file = file;
  }

  abstract int: () => number;
  abstract long: () => number;
  abstract double: () => number;
  abstract text(length: number): string;
  abstract skip: (length: number) => void;
  /** @returns a function that reads the values */
  abstract values(type: string, count: number): () => Float64Array;

  get left(): number {
    return this.bytes.length - this.at;
  }

  fail(message: string): never {
    throw new WeightsError(
      'torch7/format',
      { file: this.#file },
      `${message} (byte ${this.at}); the file is truncated, damaged, or not from Torch7`,
    );
  }
}

export class BinarySource extends Source {
  #take(length: number): number {
    if (!(length >= 0 && length <= this.left)) this.fail(`${length} bytes are needed, ${this.left} are left`);
    this.at += length;
    return this.at - length;
  }

  int = () => this.bytes.readInt32LE(this.#take(4));
  long = () => Number(this.bytes.readBigInt64LE(this.#take(8)));
  double = () => this.bytes.readDoubleLE(this.#take(8));
  skip = (length: number) => void this.#take(length);

  text(length: number): string {
    const start = this.#take(length);
    return this.bytes.toString('latin1', start, start + length);
  }

  values(type: string, count: number): () => Float64Array {
    const size = SIZES[type]!;
    const start = this.#take(size * count);
    const bytes = this.bytes;
    const read: (at: number) => number =
      type === 'Double' || type === 'CudaDouble'
        ? (at) => bytes.readDoubleLE(at)
        : type === 'Float' || type === 'Cuda'
          ? (at) => bytes.readFloatLE(at)
          : size === 8
            ? (at) => Number(bytes.readBigInt64LE(at))
            : (at) => bytes.readIntLE(at, size);
    return () => Float64Array.from({ length: count }, (_, i) => read(start + i * size));
  }
}

export class TextSource extends Source {
  #word(): number {
    const bytes = this.bytes;
    while (this.at < bytes.length && bytes[this.at]! <= 32) this.at++;
    const start = this.at;
    while (this.at < bytes.length && bytes[this.at]! > 32) this.at++;
    const text = bytes.toString('latin1', start, Math.min(this.at, start + 64));
    const special = /^([+-]?)(inf|nan)/i.exec(text);
    const value =
      special === null
        ? Number(text || 'x')
        : special[2]!.toLowerCase() === 'nan'
          ? Number.NaN
          : special[1] === '-'
            ? -Infinity
            : Infinity;
    if (special === null && Number.isNaN(value)) this.fail(`${JSON.stringify(text)} is not a number`);
    this.#endOfLine();
    return value;
  }

  /** A line end after a number or a text belongs to it (DiskFile.c). */
  #endOfLine(): void {
    if (this.bytes[this.at] === 13) this.at++;
    if (this.bytes[this.at] === 10) this.at++;
  }

  int = () => this.#word();
  long = () => this.#word();
  double = () => this.#word();

  text(length: number): string {
    if (!(length >= 0 && length <= this.left)) this.fail(`a text of ${length} bytes, ${this.left} are left`);
    const text = this.bytes.toString('latin1', this.at, this.at + length);
    this.at += length;
    if (length > 0) this.#endOfLine();
    return text;
  }

  skip = (length: number) => void this.text(length);

  values(_type: string, count: number): () => Float64Array {
    // A value has at least a digit and a space.
    if (count > (this.left + 1) / 2) this.fail(`${count} values, but ${this.left} bytes are left`);
    const values = new Float64Array(count);
    for (let i = 0; i < count; i++) values[i] = this.#word();
    return () => values;
  }
}
