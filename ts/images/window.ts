/** Windows: which of an image's values become grey levels (DICOM PS3.3, section C.11.2.1.2). */
import { type Kind, list, number } from '../base/kinds.ts';

/** Centre and width in the units of the image: 0 to 65535 for 16 bits, and the rescaled units for DICOM. */
export type Window = readonly [center: number, width: number];

const numbers = list(number(), { of: 'numbers' });

export const window: Kind<Window> = {
  expected: 'a window, [centre, width] with a width of at least 1',
  mistake(value) {
    const isWindow = numbers.mistake(value) === null && (value as number[]).length === 2;
    if (isWindow && (value as Window)[1] >= 1) return null;
    return { path: '', expected: window.expected, actual: value };
  },
  written: { ...numbers.written!, expected: 'centre,width: two numbers, the second of at least 1' },
};

/** The function of a window; FULL is LINEAR_EXACT over all values, if there is no window. */
export interface Windowing {
  readonly window: Window;
  readonly shape: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID' | 'FULL';
}

export const fullRange = (ends: readonly number[]): Windowing => {
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  return { window: [(low + high) / 2, high - low], shape: 'FULL' };
};

/** Maps a value to its share of white. */
function share(value: number, { window: [center, width], shape }: Windowing): number {
  if (shape === 'SIGMOID') return 1 / (1 + Math.exp((-4 * (value - center)) / width));
  const [middle, span] = shape === 'LINEAR' ? [center - 0.5, width - 1] : [center, width];
  if (value <= middle - span / 2) return 0;
  return value > middle + span / 2 ? 1 : (value - middle) / span + 0.5;
}

/** The grey level of every stored value, beginning with the smallest. */
export function windowTable(
  options: Windowing & {
    readonly slope: number;
    readonly intercept: number;
    /** The range of stored values. */
    readonly range: readonly [low: number, high: number];
    readonly inverted: boolean;
    readonly depth: 8 | 16;
  },
): Uint16Array {
  const { slope, intercept, range, inverted, depth } = options;
  const white = 2 ** depth - 1;
  return Uint16Array.from({ length: range[1] - range[0] + 1 }, (_, i) => {
    const grey = share(slope * (range[0] + i) + intercept, options);
    return Math.round(white * (inverted ? 1 - grey : grey));
  });
}

/** `window 40/400`. */
export const windowText = ({ window: [center, width], shape }: Windowing): string =>
  `window ${center}/${width}${shape === 'LINEAR' || shape === 'FULL' ? '' : ` (${shape})`}`;
