/** `npm run readme-figures`: writes the README's figures from the recorded reports that are named here. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeFileAtomically } from '../ts/caffe/atomic-file.ts';
import { withFigures } from './figures.ts';

/** What the README shows, in this order: reports of `resnode bench --json`, as paths from the repository's folder. */
const FILES = [
  'bench/results/2026-11-27-amd-epyc-forward.json',
  'bench/results/2026-11-27-amd-epyc-training-resnet-50.json',
  'bench/results/2026-11-27-amd-epyc-training-cifar-20.json',
];

const repository = new URL('../', import.meta.url);
const readme = fileURLToPath(new URL('README.md', repository));

/** The README as it is, and as it is to be. */
export function readmeWithFigures(): { readonly found: string; readonly expected: string } {
  const found = readFileSync(readme, 'utf8');
  return { found, expected: withFigures(found, FILES, repository) };
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileAtomically(readme, [readmeWithFigures().expected]);
