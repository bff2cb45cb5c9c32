/** Memory of a device, for inputs and outputs of runs that need not pass through JavaScript's memory. */

import { isShared } from '../base/copy-of.ts';
import { ArgumentError, DeviceError } from '../base/errors.ts';
import { having, integer, kind, oneOf, shape, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import type { NativeBuffer } from '../native/binding.ts';
import { convertError } from '../native/load.ts';
import { release, watch } from './memory.ts';

/** The type of a buffer's values; a net reads those of `uint8` as 0–255. */
export type BufferType = 'float32' | 'uint8';

export interface BufferShape {
  readonly shape: readonly number[];
  /** Default `float32`. */
  readonly dtype?: BufferType;
}

const BYTES: Record<BufferType, number> = { float32: 4, uint8: 1 };

/** @throws ArgumentError */
export function checkBufferShape({
  shape,
  dtype = 'float32',
}: BufferShape): Required<BufferShape> & { bytes: number } {
  if (!Object.hasOwn(BYTES, dtype)) throw new ArgumentError('dtype', '"float32" or "uint8"', dtype);
  const elements = Array.isArray(shape)
    ? shape.reduce(
        (product: number, dim: number) => product * (Number.isInteger(dim) && dim >= 1 ? dim : Number.NaN),
        1,
      )
    : Number.NaN;
  if (!Number.isSafeInteger(elements)) throw new ArgumentError('shape', 'positive integers', shape);
  return { shape: [...shape], dtype, bytes: elements * BYTES[dtype] };
}

/** The alternative to values in `device.buffer`. */
export const bufferShape = options<BufferShape>({
  shape: required(shape, 'The shape, e.g. N×C×H×W.'),
  dtype: optional(oneOf('float32', 'uint8'), 'float32', 'The type of the values.'),
});

const BUFFER_UPLOAD = signature('buffer.upload', {
  source: required(
    kind('a typed array', (value) => ArrayBuffer.isView(value) && new Uint8Array(value.buffer).length >= 0),
    'Values or bytes; the call copies them.',
  ),
  options: optional(
    options<{ readonly offset?: number }>({ offset: optional(integer(0), '0', 'The offset in bytes.') }),
    'none',
    'Where to write them.',
  ),
});
const BUFFER_COPY = signature('buffer.copy', {
  source: required(
    having<DeviceBuffer>('a DeviceBuffer', 'upload', 'download'),
    'A buffer of the same device and size.',
  ),
});
const BUFFER_FILL = signature('buffer.fill', {
  value: optional(integer(0, 255), '0', 'The value of every byte.'),
});
const DEVICE_BUFFER = signature('DeviceBuffer', {
  native: required(
    having<NativeBuffer>('a native buffer (use device.buffer)', 'upload', 'dispose'),
    "The addon's buffer.",
  ),
  shape: required(shape, 'The shape, e.g. N×C×H×W.'),
  dtype: required(oneOf('float32', 'uint8'), 'The type of the values.'),
  device: required(string, 'The name of the device.'),
});
/**
 * A block of memory on a device, with a shape and a type. Pass it to `model.run` as an input or under `outputs`. Every call
 * takes effect in order with the runs of the device.
 */
export class DeviceBuffer {
  readonly shape: readonly number[];
  readonly dtype: BufferType;
  readonly bytes: number;
  readonly #native: NativeBuffer;
  readonly #device: string;
  #disposed = false;

  /**
   * Use `device.buffer`.
   * @internal
   */
  constructor(native: NativeBuffer, shape: readonly number[], dtype: BufferType, device: string) {
    DEVICE_BUFFER.check(native, shape, dtype, device);
    this.#native = native;
    this.#device = device;
    this.shape = shape;
    this.dtype = dtype;
    this.bytes = native.bytes;
    watch(this, `a buffer of ${native.bytes} bytes on ${device}`);
  }

  /**
   * The addon's buffer.
   * @throws DeviceError `device/disposed`
   * @internal
   */
  get native(): NativeBuffer {
    if (this.#disposed)
      throw new DeviceError(
        'device/disposed',
        this.#device,
        'The buffer was disposed, directly or with its device',
      );
    return this.#native;
  }

  /** Writes values or bytes into the buffer, beginning at the byte `offset` (default 0). The call copies `source`. */
  async upload(source: ArrayBufferView, options: { readonly offset?: number } = {}): Promise<void> {
    BUFFER_UPLOAD.check(source, options);
    const { offset = 0 } = options;
    this.#checkRange(offset, source.byteLength);
    const view = new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength);
    // Copies memory that another thread could modify.
    const bytes = isShared(source) ? view.slice() : view;
    await this.#call(() => this.native.upload(bytes, offset));
  }

  /** Returns the values: a Float32Array or a Uint8Array, according to `dtype`. */
  async download(): Promise<Float32Array | Uint8Array> {
    const bytes = await this.#call(() => this.native.download(0, this.bytes));
    return this.dtype === 'uint8'
      ? bytes
      : new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  /** Copies a buffer of the same device and size into this one. */
  async copy(source: DeviceBuffer): Promise<void> {
    BUFFER_COPY.check(source);
    if (!(#native in source) || source.bytes !== this.bytes)
      throw new ArgumentError('source', `a DeviceBuffer of ${this.bytes} bytes`, source);
    await this.#call(() => this.native.copy(source.native, 0, 0, this.bytes));
  }

  /**
   * Sets every byte.
   * @param value Default 0.
   */
  async fill(value = 0): Promise<void> {
    BUFFER_FILL.check(value);
    await this.#call(() => this.native.fill(value, 0, this.bytes));
  }

  /** Frees the memory after the runs that are already queued. Calling it twice is safe. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    release(this);
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #checkRange(offset: number, bytes: number): void {
    if (!Number.isInteger(offset) || offset < 0 || offset + bytes > this.bytes)
      throw new ArgumentError('offset', `an offset with room for ${bytes} of ${this.bytes} bytes`, offset);
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw convertError(error, this.#device);
    }
  }
}
