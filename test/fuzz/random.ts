/** Reproducible random draws from a seed. */
import { seededRandom } from '../../ts/base/random.ts';

export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = seededRandom(seed);
  }

  /** An integer from 0 to `count` − 1. */
  below(count: number): number {
    return Math.floor(this.#next() * count);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

/** Numbers that break arithmetic: around 0 and the limits of 8, 16, 31, 32, 53, 63 and 64 bits. */
export const AWKWARD = [
  '-1',
  '0',
  '1',
  '2',
  '127',
  '128',
  '255',
  '256',
  '32767',
  '65536',
  '2147483647',
  '2147483648',
  '4294967295',
  '4294967296',
  '9007199254740991',
  '9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
  '18446744073709551615',
  '1e308',
  '1e309',
  '-0',
  'nan',
  'inf',
  '0.1',
  '1e-320',
  '33',
];
