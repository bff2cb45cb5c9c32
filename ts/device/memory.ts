/** Memory of a device: whether something fits, asked before the first byte is taken, and what was never disposed. */
import { freemem } from 'node:os';
import { DeviceError } from '../base/errors.ts';
import type { NativeMemory } from '../native/binding.ts';

/** Bytes held on a device by its models and buffers. */
export interface DeviceMemory extends NativeMemory {
  /** parameters + activations + workspace + buffers. */
  readonly total: number;
  /** What may still be taken: within `memoryLimit` and what the system, or a GPU's driver, has left. */
  readonly free: number;
}

/** Bytes of main memory that this process can still take, within its control group where there is one. */
export function availableMemory(): number {
  const { availableMemory: query } = process as { availableMemory?: () => number };
  // 0 where there is no /proc to ask: the kernel itself answers then.
  return query?.call(process) || freemem();
}

/** `18.2 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/**
 * The largest batch whose need is at most `free`; 0 where none is.
 * @param need Bytes for a batch; grows with it.
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

/** @throws DeviceError `device/out-of-memory` naming need, free and the largest batch that fits */
export function outOfMemory(device: string, need: number, free: number, batch: number | null): DeviceError {
  const advice = batch === null ? '' : batch === 0 ? '; no batch size fits' : `; batch ${batch} fits`;
  return new DeviceError(
    'device/out-of-memory',
    device,
    `Out of memory on ${device}: needs ${formatBytes(need)}, ${formatBytes(Math.max(0, free))} free${advice}`,
  );
}

/** Warns of native objects that were collected without dispose(). Their memory is freed all the same, but late. */
const registry = new FinalizationRegistry<string>((what) => {
  process.emitWarning(`${what} was collected without dispose(); its memory was held for longer than needed`, {
    code: 'RESNODE_LEAK',
  });
});

/** Watches `object` until `release`. @param what What the warning names, e.g. `model "ResNet-50"`. */
export function watch(object: object, what: string): void {
  registry.register(object, what, object);
}

export function release(object: object): void {
  registry.unregister(object);
}

/** What stands on a device and ends with it. Held weakly: what nobody keeps is still collected, with a warning. */
export class Holdings {
  readonly #held = new Set<WeakRef<Disposable>>();
  readonly #collected = new FinalizationRegistry<WeakRef<Disposable>>((ref) => this.#held.delete(ref));
  #isDisposed = false;

  /** What came while the device was being disposed is disposed at once. */
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

  /** Safe to call twice. */
  dispose(): void {
    this.#isDisposed = true;
    for (const ref of this.#held) ref.deref()?.[Symbol.dispose]();
    this.#held.clear();
  }
}
