/** Appends layers to a random net. */
import type { Random } from './random.ts';

export interface RandomLayer {
  readonly name: string;
  readonly type: string;
  readonly bottoms: readonly string[];
  readonly tops: readonly string[];
  /** The rest of its prototxt. */
  readonly fields: string;
  readonly weights: readonly Weights[];
}

export type Weights = readonly [shape: readonly number[], values: Float32Array];

export function values(random: Random, count: number, low: number, high: number): Float32Array {
  return Float32Array.from({ length: count }, () => low + ((high - low) * random.below(2001)) / 2000);
}

export interface Blob {
  readonly name: string;
  readonly shape: readonly [channels: number, height: number, width: number];
}

export const countOf = ({ shape }: Blob) => shape[0] * shape[1] * shape[2];
export const sameShape = (a: Blob, b: Blob) => a.shape.every((size, i) => size === b.shape[i]);

export class Builder {
  readonly random: Random;
  /** For a training step: batch statistics, learning rates, blobs that do not learn. */
  readonly trains: boolean;
  readonly layers: RandomLayer[] = [];
  readonly blobs: Blob[] = [];
  /** `blob@layer` */
  readonly made: string[] = [];
  /** Blobs that a layer has read. Caffe does not allow writing to them in place afterwards. */
  readonly #read = new Set<string>();

  constructor(random: Random, trains: boolean) {
    this.random = random;
    this.trains = trains;
  }

  chance(oneIn: number): boolean {
    return this.random.below(oneIn) === 0;
  }

  values(count: number, low: number, high: number): Float32Array {
    return values(this.random, count, low, high);
  }

  /** A layer with one top. */
  layer(
    type: string,
    bottoms: readonly Blob[],
    shape: Blob['shape'],
    fields = '',
    weights: readonly Weights[] = [],
    inPlace = false,
  ): Blob {
    const isInPlace = inPlace && !this.#read.has(bottoms[0]!.name);
    const name = `${type.toLowerCase()}${this.layers.length}`;
    const blob = { name: isInPlace ? bottoms[0]!.name : name, shape };
    this.add({ name, type, bottoms, tops: [blob], fields, weights }, isInPlace);
    return blob;
  }

  add(
    {
      bottoms,
      tops,
      ...layer
    }: Omit<RandomLayer, 'bottoms' | 'tops'> & { bottoms: readonly Blob[]; tops: readonly Blob[] },
    isInPlace = false,
  ): void {
    const names = (blobs: readonly Blob[]) => blobs.map(({ name }) => name);
    const stops =
      this.trains && this.chance(25) ? bottoms.map(() => `propagate_down: ${!this.chance(2)}`).join(' ') : '';
    this.layers.push({
      ...layer,
      fields: `${layer.fields} ${stops}`,
      bottoms: names(bottoms),
      tops: names(tops),
    });
    this.made.push(...tops.map(({ name }) => `${name}@${layer.name}`));
    if (isInPlace) return;
    for (const { name } of bottoms) this.#read.add(name);
    this.blobs.push(...tops);
  }

  /** Learning rates of blobs; sometimes a blob does not learn. */
  rates(count: number): string {
    if (!this.trains || !this.chance(5)) return '';
    return Array.from({ length: count }, () => `param { lr_mult: ${this.random.pick([0, 1, 2])} }`).join(' ');
  }
}

export type Step = (builder: Builder, from: Blob) => Blob;
