/** `npm run fuzz`: all readers in turn, or random nets, with new inputs until the time is up. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { openDevice } from '../../ts/index.ts';
import { describe, endFuzzing, findings, fuzz } from './fuzz.ts';
import { compareNets, describeFigures } from './random-nets.ts';
import { READERS } from './readers.ts';
import { allComparisons, openVariants, QUIET } from './sides.ts';

const USAGE = `npm run fuzz -- [--minutes N | --inputs N] [--reader NAME | --nets] [--from I] [--seed S]

Gives damaged files to the readers, and counts crashes, hangs over 5 s, errors that are none of ours, and memory over 1 GiB;
or compares random nets on every device with the reference.

  --minutes N     go on for so long (10)
  --inputs N      so many inputs for each reader, and no more
  --reader NAME   this reader alone
  --nets          random nets instead of files
  --from I        the number of the first input (0)
  --seed S        a finding is made again by its seed and number (default: another one each time)

Readers: ${READERS.map(({ name }) => name).join(', ')}
Exit status: 0 where nothing was found, 1 where something was, 2 for a wrong command line.`;

const options = {
  minutes: { type: 'string', default: '10' },
  inputs: { type: 'string' },
  reader: { type: 'string' },
  nets: { type: 'boolean', default: false },
  from: { type: 'string', default: '0' },
  seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  help: { type: 'boolean', short: 'h', default: false },
} satisfies ParseArgsConfig['options'];

function refuse(problem: string): never {
  console.error(`${problem}\n\n${USAGE}`);
  process.exit(2);
}

function readCommandLine() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse((error as Error).message);
  }
}

const values = readCommandLine();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
for (const name of ['inputs', 'from', 'seed'] as const)
  if (!/^\d+$/.test(values[name] ?? '0') || (name === 'inputs' && values.inputs === '0'))
    refuse(`Expected a whole number for --${name} but received "${values[name]}".`);
if (!(Number(values.minutes) > 0))
  refuse(`Expected a number above 0 for --minutes but received "${values.minutes}".`);
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
  if (readers.length === 0) refuse(`There is no reader "${values.reader}".`);
  for (let from = first; from === first || !isOver(); from += count)
    for (const reader of readers) {
      const figures = await fuzz(reader, seed, from, from + count);
      tell(describe(figures), from, findings(figures));
      if (values.inputs === undefined && isOver()) break;
    }
  await endFuzzing();
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
