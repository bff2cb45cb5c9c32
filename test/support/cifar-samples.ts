/** The 1000 test images of CIFAR-10 next to the checkout, if they exist, as samples to evaluate. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sample } from '../../ts/images/evaluate/evaluate-images.ts';
import { sharedFolder } from './golden.ts';

export const cifarFile = join(sharedFolder() ?? '', 'data/cifar10-test1000.bin');

/** The preprocessing with which the nets of shared/models were trained. */
export const cifarPreprocess = {
  resize: null,
  crop: { width: 32, height: 32 },
  mean: [123.675, 116.28, 103.53],
  order: 'RGB',
} as const;

/** A record is a label, then planes of red, green and blue (https://www.cs.toronto.edu/~kriz/cifar.html). */
export function cifarSamples(): Sample[] {
  const bytes = readFileSync(cifarFile);
  return Array.from({ length: bytes.length / 3073 }, (_, i): Sample => {
    const record = bytes.subarray(i * 3073, (i + 1) * 3073);
    const data = Uint8Array.from({ length: 3072 }, (_, k) => record[1 + (k % 3) * 1024 + Math.floor(k / 3)]!);
    return { label: record[0]!, image: { width: 32, height: 32, channels: 3, data, file: `record ${i}` } };
  });
}
