/**
 * Runs test files, each in its own process, so that a crash cannot hide the others, and counts. A line `skipped: …`
 * that a file prints stands for a test (or a group of tests) that was not run, with the reason. `npm test --
 * cuda/device lint` runs the files whose paths contain one of the words.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileAll } from './compile.ts';
import { conclude, type Outcome, runFile, takenSeconds } from './run-file.ts';
import { nodeArguments } from './support/command.ts';
import { childUntilExit, folderUntilExit } from './until-exit.ts';

// Node reads these additional certificates in each process, which takes two thirds of its start. No test uses TLS.
delete process.env.NODE_EXTRA_CA_CERTS;
// The output of files is parsed without colours.
delete process.env.FORCE_COLOR;

const SLOWEST = 25;
/** Seconds of a processor that each file took the last time that it ran, the most first; and, below, what takes long in a fresh clone. */
const DURATIONS = fileURLToPath(new URL('../build/test-seconds.json', import.meta.url));
const LONG = [
  'cpu/sanitized',
  'package/packed',
  'native/clang-tidy',
  'cuda/kernels.',
  'train/fashion',
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

interface Ran extends Outcome {
  readonly file: string;
}

const folder = dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const all = (readdirSync(folder, { recursive: true }) as string[]).filter((name) =>
  name.endsWith('.test.ts'),
);
const holds = (name: string, word: string) => name.includes(word.replace(/^test\//, ''));
const strange = words.filter((word) => !all.some((name) => holds(name, word)));
if (strange.length > 0) {
  console.error(`no test file's path holds ${strange.map((word) => `"${word}"`).join(' or ')}`);
  process.exit(1);
}
const files = all.filter((name) => words.length === 0 || words.some((word) => holds(name, word))).sort();
// For a few files it is faster not to compile.
const compiled = files.length < 5 ? null : await compileAll(dirname(folder));
const environment: NodeJS.ProcessEnv =
  compiled === null ? { ...process.env } : { ...process.env, RESNODE_TEST_COMPILED: compiled };

// Measurements of devices do not go to the user's cache, and earlier measurements do not affect the tests.
const cache = folderUntilExit(mkdtempSync(join(tmpdir(), 'resnode-cache-')));

const lastSeconds: Readonly<Record<string, number>> = existsSync(DURATIONS)
  ? JSON.parse(readFileSync(DURATIONS, 'utf8'))
  : {};
/**
 * The longest files start first, so that no processor waits for another's last one: ordered by their last times, then
 * by folder.
 */
function byDuration(names: readonly string[]): string[] {
  const guess = (name: string) => {
    const at = LONG.findIndex((start) => name.startsWith(start));
    return at < 0 ? 0 : 100 - at;
  };
  const weight = (name: string) => lastSeconds[name] ?? guess(name);
  return names.toSorted((a, b) => weight(b) - weight(a));
}

const results: Ran[] = [];
async function run(file: string): Promise<void> {
  const path = join(folder, file);
  const env = { ...environment, XDG_CACHE_HOME: cache };
  const words = nodeArguments(path, compiled);
  results.push({ file, ...(await runFile(relative(process.cwd(), path), process.execPath, words, env)) });
}

const isEmulated = (file: string) =>
  readFileSync(join(folder, file), 'utf8').includes("support/emulated.ts'");
const emulated = byDuration(files.filter(isEmulated));
const queue = byDuration(files.filter((file) => !isEmulated(file)));
const runAll = async (queue: string[]) => {
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) await run(file);
};
// One build serves all files on the emulated CUDA runtime, which start after it because they are the longest. If it
// fails, each of them reports why, one after the other.
let buildSeconds = 0;
const buildEmulated = () =>
  new Promise<boolean>((resolve) => {
    const command = nodeArguments(join(folder, 'support/emulated.ts'), null);
    childUntilExit(spawn(process.execPath, command, { stdio: 'ignore' })).on('close', (status) => {
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
// One more than there are processors, because files also wait for other processes, timers and disks.
const lanes = Array.from({ length: availableParallelism() + 1 }, async (_, lane) => {
  if (lane > 0) await runAll(queue); // the build uses the first one's processor
  await prepared;
  await runAll(queue);
});
await Promise.all(lanes);
// A file that was not compiled beforehand compiles itself, so its time is not comparable.
if (compiled !== null) {
  const seconds = { ...lastSeconds };
  for (const { file, processorSeconds } of results) seconds[file] = processorSeconds;
  const byTime = Object.entries(seconds).sort(([, a], [, b]) => b - a);
  writeFileSync(DURATIONS, JSON.stringify(Object.fromEntries(byTime), null, 1));
}
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
conclude(results);
