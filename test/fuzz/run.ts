/**
 * `npm run fuzz -- [--minutes N | --inputs N] [--reader NAME] [--seed S]`: all readers in turn, with fresh inputs until the
 * time is up. Exit status 1 where anything was found.
 */
import { parseArgs } from 'node:util';
import { describe, findings, fuzz } from './fuzz.ts';
import { READERS } from './readers.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    inputs: { type: 'string' },
    reader: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
});
const readers = READERS.filter(({ name }) => values.reader === undefined || name === values.reader);
if (readers.length === 0) {
  console.error(`no reader "${values.reader}"; there are: ${READERS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const end = Date.now() + Number(values.minutes) * 60_000;
const seed = Number(values.seed);
const count = values.inputs === undefined ? 500 : Number(values.inputs);
for (let from = 0; from === 0 || (values.inputs === undefined && Date.now() < end); from += count)
  for (const reader of readers) {
    const figures = await fuzz(reader, seed, from, from + count);
    console.log(`figures: ${describe(figures)} (from input ${from})`);
    for (const finding of findings(figures)) console.log(`  ${finding}`);
    if (findings(figures).length > 0) process.exitCode = 1;
    if (values.inputs === undefined && Date.now() >= end) break;
  }
