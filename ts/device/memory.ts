/**
 * Memory of a device: checks whether something fits before anything is allocated, and warns of objects that were never
 * disposed.
 */
import { freemem } from 'node:os';
import { DeviceError } from '../base/errors.ts';
import type { NativeMemory } from '../native/binding.ts';

/** The bytes that models and buffers hold on a device. */
export interface DeviceMemory extends NativeMemory {
  /** parameters + activations + workspace + buffers. */
  readonly total: number;
  /** The bytes that are still available within `memoryLimit` and the memory of the system or GPU. */
  readonly free: number;
}

/** The bytes of main memory that this process can still use, within its control group if it has one. */
export function availableMemory(): number {
  const { availableMemory: query } = process as { availableMemory?: () => number };
  // Without /proc the value is 0; then os.freemem answers.
  return query?.call(process) || freemem();
}

/** `18.2 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/**
 * The largest batch that needs at most `free` bytes; 0 if none fits.
 * @param need The bytes for a batch; it grows with the batch.
 */
export async function largestBatch(
  below: number,
  free: number,
  need: (batch: number) => Promise<number>,
): Promise<number> {
  let [fits, tooLarge] = [0, below];
  while (tooLarge - fits > 1) {
    const middle = (fits + tooLarge) >> 1;
    if ((await need(middle)) <= free) fits = middle;
    else tooLarge = middle;
  }
  return fits;
}

/** @throws DeviceError `device/out-of-memory` that names the need, the free memory and the largest batch that fits */
export function outOfMemory(device: string, need: number, free: number, batch: number | null): DeviceError {
  const advice = batch === null ? '' : batch === 0 ? '; no batch size fits' : `; batch ${batch} fits`;
  return new DeviceError(
    'device/out-of-memory',
    device,
    `Out of memory on ${device}: needs ${formatBytes(need)}, ${formatBytes(Math.max(0, free))} free${advice}`,
  );
}

/** Warns of native objects that were collected without dispose(). Their memory is freed anyway, but late. */
const registry = new FinalizationRegistry<string>((what) => {
  process.emitWarning(`${what} was collected without dispose(); its memory was held for longer than needed`, {
    code: 'RESNODE_LEAK',
  });
});

/**
 * Watches `object` until `release`.
 * @param what The object's name in the warning, e.g. `model "ResNet-50"`.
 */
export function watch(object: object, what: string): void {
  registry.register(object, what, object);
}

export function release(object: object): void {
  registry.unregister(object);
}

/**
 * The objects that live on a device and end with it. References are weak: an object that nothing else references is still
 * collected, with a warning.
 */
export class Holdings {
  readonly #held = new Set<WeakRef<Disposable>>();
  readonly #collected = new FinalizationRegistry<WeakRef<Disposable>>((ref) => this.#held.delete(ref));
  #isDisposed = false;

  /** Adds an object; if the device is being disposed, the object is disposed at once. */
  add<Held extends Disposable>(object: Held): Held {
    if (this.#isDisposed) {
      object[Symbol.dispose]();
      return object;
    }
    const ref = new WeakRef(object);
    this.#held.add(ref);
    this.#collected.register(object, ref);
    return object;
  }

  /** Calling it twice is safe. */
  dispose(): void {
    this.#isDisposed = true;
    for (const ref of this.#held) ref.deref()?.[Symbol.dispose]();
    this.#held.clear();
  }
}
