/** `npm run speed-page`: writes the figures of docs/speed.md from the recorded reports that are named here. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeFileAtomically } from '../ts/caffe/atomic-file.ts';
import { withFigures } from './figures.ts';

/** What the page shows, in this order: reports of `resnode bench --json`, as paths from its folder. */
const FILES = [
  '../bench/results/2026-11-27-amd-epyc-forward.json',
  '../bench/results/2026-11-27-amd-epyc-training-resnet-50.json',
  '../bench/results/2026-11-27-amd-epyc-training-cifar-20.json',
];

const docs = new URL('../docs/', import.meta.url);
const page = fileURLToPath(new URL('speed.md', docs));

/** The page as it is, and as it is to be. */
export function speedPage(): { readonly found: string; readonly expected: string } {
  const found = readFileSync(page, 'utf8');
  return { found, expected: withFigures(found, FILES, docs) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileAtomically(page, [speedPage().expected]);
