/**
 * `npm run speed-page`: writes the figures of docs/speed.md and the README from the recorded reports that are listed
 * here.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeFileAtomically } from '../ts/caffe/atomic-file.ts';
import { withFigures, withServing } from './figures.ts';

/** The reports of the page, in this order: files of `resnode bench --out`, as paths from its folder. */
const FILES = [
  '../bench/results/2026-11-30-intel-xeon-forward.json',
  '../bench/results/2026-12-01-intel-xeon-amx-int8.json',
  '../bench/results/2026-12-01-intel-xeon-amx-forward.json',
  '../bench/results/2026-11-30-intel-xeon-amx-bfloat16.json',
  '../bench/results/2026-11-27-amd-epyc-forward.json',
  '../bench/results/2026-12-01-intel-xeon-amx-training-resnet-50.json',
  '../bench/results/2026-12-01-intel-xeon-amx-training-cifar-20.json',
  '../bench/results/2026-11-30-intel-xeon-training-resnet-50.json',
  '../bench/results/2026-11-30-intel-xeon-training-cifar-20.json',
  '../bench/results/2026-11-27-amd-epyc-training-resnet-50.json',
  '../bench/results/2026-11-27-amd-epyc-training-cifar-20.json',
];

/** The README's report, as a path from the repository's folder. */
const SERVING = 'bench/results/2026-12-01-intel-xeon-amx-serving.json';

const repository = new URL('../', import.meta.url);
const readme = fileURLToPath(new URL('README.md', repository));
const docs = new URL('docs/', repository);
const page = fileURLToPath(new URL('speed.md', docs));

/** A page as it is, and as it should be. */
export function speedPage(): { readonly found: string; readonly expected: string } {
  const found = readFileSync(page, 'utf8');
  return { found, expected: withFigures(found, FILES, docs) };
}

export function readmePage(): { readonly found: string; readonly expected: string } {
  const found = readFileSync(readme, 'utf8');
  return { found, expected: withServing(found, SERVING, repository) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileAtomically(page, [speedPage().expected]);
  writeFileAtomically(readme, [readmePage().expected]);
}
