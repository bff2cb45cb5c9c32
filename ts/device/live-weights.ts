/**
 * Reads and changes the weights of a loaded model on its device, although passes may have computed other parameters from
 * them.
 */
import { copyOf } from '../base/copy-of.ts';
import { elementCount } from '../base/shape.ts';
import { yielding } from '../base/yielding.ts';
import type { Blob } from '../caffe/blob.ts';
import { type Compiled, drawnBlob, type Lowered } from '../compile/compile.ts';
import { packWeights, sourcesOf } from '../compile/pack-weights.ts';
import type { NativeParameters } from '../native/binding.ts';
import { checkIntact, inHeldMemory, isOfFile } from '../native/host-memory.ts';
import type { ParameterData } from '../operations/program.ts';
import type { OpenedNet } from './compiler.ts';
import type { Changes } from './new-weights.ts';

type Write = Parameters<NativeParameters['write']>[0][number];

export class LiveWeights {
  readonly #compiled: Pick<Compiled<Lowered>, 'written' | 'recipes' | 'program'>;
  readonly #seed: number;
  /** One per parameter of the net; null for a filler, which is computed again when needed. */
  readonly #blobs: (Blob | null)[];
  #file: string;

  constructor(
    compiled: Pick<Compiled<Lowered>, 'written' | 'recipes' | 'program'>,
    { opened, seed }: { readonly opened: Pick<OpenedNet<Lowered>, 'blobs' | 'file'>; readonly seed: number },
  ) {
    this.#compiled = compiled;
    this.#seed = seed;
    this.#blobs = [...opened.blobs];
    this.#file = opened.file;
  }

  /** The file that all blobs come from; empty if there is none, or if some blobs were changed since. */
  get file(): string {
    return this.#file;
  }

  /**
   * The writes to the device that a change of the net's blobs requires: all parameters that depend on one of them, such as a
   * convolution's bias into which a BatchNorm is folded. From now on these are the net's blobs.
   */
  async change(changes: Changes): Promise<Write[]> {
    const { recipes } = this.#compiled;
    const isChanged = recipes.map((recipe) => [...sourcesOf([recipe])].some((id) => changes.has(id)));
    const needed = sourcesOf(recipes.filter((_, i) => isChanged[i]));
    const blobs = new Map(changes);
    for (const id of needed) if (!blobs.has(id)) blobs.set(id, await this.#blob(id));
    for (const [id, blob] of changes) this.#blobs[id] = blob;
    this.#file = '';
    const yieldIfDue = yielding();
    const writes: Write[] = [];
    for (const [index, recipe] of recipes.entries()) {
      if (!isChanged[index]) continue;
      const [data] = packWeights([recipe], (id) => blobs.get(id)!);
      writes.push({ index, data: await inOwnMemory(data ?? null, yieldIfDue) });
      await yieldIfDue();
    }
    return writes;
  }

  /** The parameters whose values the device owns because runs change them, such as BatchNorm's statistics in phase TRAIN. */
  changedByRuns(): ReadonlyMap<number, number> {
    const { recipes, program } = this.#compiled;
    return new Map(
      recipes.flatMap((recipe, index) =>
        recipe.kind === 'blob' && program.parameters[index]!.mutable
          ? [[recipe.parameter, index] as const]
          : [],
      ),
    );
  }

  /**
   * The net's blobs, one per parameter, as they were given; blobs that do not come from a file are copied.
   * @throws WeightsError `weights/changed`
   */
  async read(): Promise<Blob[]> {
    const blobs: Blob[] = [];
    for (const id of this.#blobs.keys()) {
      const blob = await this.#blob(id);
      checkIntact(blob.bytes, this.#compiled.written.name);
      blobs.push(isOfFile(blob.bytes) ? blob : { ...blob, bytes: copyOf(blob.bytes) });
    }
    return blobs;
  }

  async #blob(id: number): Promise<Blob> {
    const given = this.#blobs[id];
    if (given == null) return drawnBlob(this.#compiled.written.parameters[id]!, this.#seed, yielding());
    // Uses the net's shape: the file's blob may have other dimensions with the same values.
    const { shape } = this.#compiled.written.parameters[id]!;
    return elementCount(shape) === elementCount(given.shape) ? { ...given, shape } : given;
  }
}

async function inOwnMemory(
  data: ParameterData | null,
  yieldIfDue: ReturnType<typeof yielding>,
): Promise<ParameterData | null> {
  return data === null ? null : { ...data, bytes: await inHeldMemory(data.bytes, yieldIfDue) };
}
