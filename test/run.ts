/**
 * Runs test files, each in a process of its own, so that one crash cannot hide the others, and counts: a line
 * `skipped: …` that a file prints is a test (or a group of them) that was not run, and why.
 * `npm test -- cuda/device lint` runs the files whose paths hold one of the words.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileAll } from './compile.ts';
import { nodeArguments } from './support/command.ts';

const LIMIT_MS = 1_800_000;
const SLOWEST = 25;
/** Seconds of a processor that each file took the last time that all ran; and those that take long in a fresh clone. */
const DURATIONS = fileURLToPath(new URL('../build/test-seconds.json', import.meta.url));
const LONG = [
  'package/packed',
  'native/clang-tidy',
  'cuda/kernels.',
  'train/fashion',
  'cpu/sanitized',
  'package/docs',
  'device/nets',
  'tools/view/describe-net',
  'fuzz/',
  'examples/',
  'cuda/',
  'device/int8',
  'device/golden-training',
  'train/finetune',
  'data/layers',
  'architectures/',
  'cli/train',
  'images/evaluate/',
];

interface Ran {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  /** Why. */
  readonly skipped: readonly string[];
  readonly seconds: number;
  /** Of a processor, with what the file itself started and waited for. */
  readonly processorSeconds: number;
}

const folder = dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const files = (readdirSync(folder, { recursive: true }) as string[])
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => words.length === 0 || words.some((word) => name.includes(word.replace(/^test\//, ''))))
  .sort();
if (files.length === 0) {
  console.error(`no test file's path holds ${words.map((word) => `"${word}"`).join(' or ')}`);
  process.exit(1);
}
// A few files are sooner through as they are.
const compiled = files.length < 5 ? null : await compileAll(dirname(folder));
const environment: NodeJS.ProcessEnv =
  compiled === null ? { ...process.env } : { ...process.env, RESNODE_TEST_COMPILED: compiled };

// What devices measure does not go to the user's cache, and nothing measured before decides what is tested.
const cache = mkdtempSync(join(tmpdir(), 'resnode-cache-'));

/** The longest begin, so that no processor waits for another one's last: as they took the last time, then by folder. */
function byDuration(names: readonly string[]): string[] {
  const seconds: Record<string, number> = existsSync(DURATIONS)
    ? JSON.parse(readFileSync(DURATIONS, 'utf8'))
    : {};
  const guess = (name: string) => {
    const at = LONG.findIndex((start) => name.startsWith(start));
    return at < 0 ? 0 : 100 - at;
  };
  const weight = (name: string) => seconds[name] ?? guess(name);
  return names.toSorted((a, b) => weight(b) - weight(a));
}

/** What a file says of itself, once each; uvu's dots may stand before it. */
function told(output: string, what: 'skipped' | 'figures'): string[] {
  const lines = output.matchAll(new RegExp(`^[•✘ ]*${what}: (.*)$`, 'gm'));
  return [...new Set([...lines].map(([, text]) => text!))];
}

/** Of a processor, taken by all children that have ended (proc(5): cutime and cstime, in hundredths on Linux). */
function childSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}
let counted = childSeconds();
/** What the child took that has just ended. */
function takenSeconds(): number {
  const before = counted;
  counted = childSeconds();
  return counted - before;
}

function run(file: string): Promise<Ran> {
  const start = performance.now();
  let processorSeconds = 0;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, nodeArguments(join(folder, file), compiled), {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
      env: { ...environment, XDG_CACHE_HOME: cache },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    child.on('exit', () => {
      processorSeconds = takenSeconds();
    });
    child.on('close', (status, signal) => {
      const total = Number(/Total:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const passed = Number(/Passed:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const skipped = told(output, 'skipped');
      const crashed = status !== 0 && total === passed;
      const isEmpty = total === 0 && skipped.length === 0;
      const failed = total - passed + (crashed || isEmpty ? 1 : 0);
      const notes = [
        ...(skipped.length > 0 ? [`${skipped.length} skipped`] : []),
        ...(crashed ? [`ended with ${signal ?? status}`] : []),
        ...(isEmpty ? ['it holds no test'] : []),
      ];
      console.log(
        [`${relative(process.cwd(), join(folder, file))}: ${passed} of ${total}`, ...notes].join(', '),
      );
      if (status !== 0 || isEmpty) console.log(output);
      for (const reason of skipped) console.log(`  skipped: ${reason}`);
      for (const figures of told(output, 'figures')) console.log(`  figures: ${figures}`);
      resolve({
        file,
        passed,
        failed,
        skipped,
        seconds: (performance.now() - start) / 1000,
        processorSeconds,
      });
    });
  });
}

const results: Ran[] = [];
const isEmulated = (file: string) =>
  readFileSync(join(folder, file), 'utf8').includes("support/emulated.ts'");
const emulated = byDuration(files.filter(isEmulated));
const queue = byDuration(files.filter((file) => !isEmulated(file)));
const runAll = async (queue: string[]) => {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) results.push(await run(file));
};
// One build serves those on the emulated CUDA runtime, which then begin: they are the longest. Where it fails, each says
// why, one after the other.
let buildSeconds = 0;
const buildEmulated = () =>
  new Promise<boolean>((resolve) => {
    const command = nodeArguments(join(folder, 'support/emulated.ts'), null);
    spawn(process.execPath, command, { stdio: 'ignore' }).on('close', (status) => {
      buildSeconds = takenSeconds();
      resolve(status === 0);
    });
  });
const prepareEmulated = async () => {
  if (emulated.length === 0) return;
  if (await buildEmulated()) {
    environment.RESNODE_TEST_EMULATED = 'built';
    queue.unshift(...emulated);
  } else await runAll(emulated);
};
const prepared = prepareEmulated();
const lanes = Array.from({ length: availableParallelism() }, async (_, lane) => {
  if (lane > 0) await runAll(queue); // the build has the first one's processor
  await prepared;
  await runAll(queue);
});
await Promise.all(lanes);
if (words.length === 0)
  writeFileSync(
    DURATIONS,
    JSON.stringify(Object.fromEntries(results.map(({ file, processorSeconds }) => [file, processorSeconds]))),
  );
rmSync(cache, { recursive: true });
if (compiled !== null) rmSync(compiled, { recursive: true });
if (results.length > SLOWEST) {
  const slowest = results.toSorted((a, b) => b.processorSeconds - a.processorSeconds).slice(0, SLOWEST);
  const total = results.reduce((sum, { processorSeconds }) => sum + processorSeconds, buildSeconds);
  console.log(
    `${total.toFixed(0)} s of processors (the emulated GPU's build: ${buildSeconds.toFixed(0)} s); the most:`,
  );
  console.log('  processor   clock');
  for (const { file, seconds, processorSeconds } of slowest)
    console.log(`${processorSeconds.toFixed(1).padStart(9)} s ${seconds.toFixed(1).padStart(6)} s  ${file}`);
}
const reasons = new Map<string, string[]>();
for (const { file, skipped } of results)
  for (const reason of skipped) reasons.set(reason, [...(reasons.get(reason) ?? []), file]);
if (reasons.size > 0 && results.length > 1) {
  console.log('skipped:');
  for (const [reason, where] of reasons) console.log(`  ${reason} (${where.join(', ')})`);
}
const sum = (key: 'passed' | 'failed') => results.reduce((total, each) => total + each[key], 0);
const skips = results.reduce((total, { skipped }) => total + skipped.length, 0);
console.log(`${sum('passed')} passed, ${skips} skipped, ${sum('failed')} failed`);
process.exitCode = sum('failed') === 0 && sum('passed') + skips > 0 ? 0 : 1;
