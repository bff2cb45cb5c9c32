/**
 * `npm run fuzz -- [--minutes N | --inputs N] [--reader NAME | --nets] [--from I] [--seed S]`: all readers in turn, or
 * random nets on every device against the reference, with fresh inputs until the time is up. Exit status 1 where anything
 * was found.
 */
import { parseArgs } from 'node:util';
import { openDevice } from '../../ts/index.ts';
import { describe, findings, fuzz } from './fuzz.ts';
import { compareNets, describeFigures } from './random-nets.ts';
import { READERS } from './readers.ts';
import { allComparisons, openVariants, QUIET } from './sides.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    inputs: { type: 'string' },
    reader: { type: 'string' },
    nets: { type: 'boolean', default: false },
    from: { type: 'string', default: '0' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
});
const [seed, first] = [Number(values.seed), Number(values.from)];
const count = values.inputs === undefined ? (values.nets ? 20 : 500) : Number(values.inputs);
const end = Date.now() + Number(values.minutes) * 60_000;
const isOver = () => values.inputs !== undefined || Date.now() >= end;

function tell(figures: string, from: number, found: readonly string[]): void {
  console.log(`figures: ${figures} (from input ${from})`);
  for (const finding of found) console.log(`  ${finding}`);
  if (found.length > 0) process.exitCode = 1;
}

async function fuzzReaders(): Promise<void> {
  const readers = READERS.filter(({ name }) => values.reader === undefined || name === values.reader);
  if (readers.length === 0) {
    console.error(`no reader "${values.reader}"; there are: ${READERS.map(({ name }) => name).join(', ')}`);
    process.exit(2);
  }
  for (let from = first; from === first || !isOver(); from += count)
    for (const reader of readers) {
      const figures = await fuzz(reader, seed, from, from + count);
      tell(describe(figures), from, findings(figures));
      if (values.inputs === undefined && isOver()) break;
    }
}

async function fuzzNets(): Promise<void> {
  const reference = await openDevice('reference', QUIET);
  const { variants, absent } = await openVariants();
  for (const why of absent) console.log(`skipped: ${why}`);
  const comparisons = allComparisons(reference, variants);
  for (let from = first; from === first || !isOver(); from += count)
    for (const [kind, comparison] of Object.entries(comparisons)) {
      const figures = await compareNets(comparison, seed, from, from + count);
      tell(`${kind}: ${describeFigures(figures)}`, from, figures.differences);
    }
  for (const device of [reference, ...variants.values()]) device.dispose();
}

await (values.nets ? fuzzNets() : fuzzReaders());
