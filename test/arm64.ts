/**
 * Runs tests of the CPU device on 64-bit Arm, under qemu's user-mode emulation: `npm run test-arm64`, which first
 * builds the addon for Arm. It runs the files that need neither other processes nor other native packages. They are
 * few, because an emulated processor is some twenty times slower.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { compileAll } from './compile.ts';
import { conclude, type Outcome, runFile } from './run-file.ts';
import { nodeArguments } from './support/command.ts';
import { repositoryFolder } from './support/golden.ts';

/** With FEAT_I8MM, with dot products only, and with neither, because int8 has different tiles for each. */
const PROCESSORS = ['max', 'cortex-a76', 'cortex-a72'];
const RUNS: readonly (readonly [file: string, processor: string])[] = [
  ['cpu/kernels', 'max'],
  ['device/golden', 'max'],
  ...PROCESSORS.map((processor) => ['cpu/int8-kernels', processor] as const),
  ['cpu/bfloat16-kernels', 'max'],
  ['cpu/filters', 'max'],
  ['cpu/filter-gradients', 'max'],
];

const outputOf = (command: string, ...words: string[]) =>
  spawnSync(command, words, { cwd: repositoryFolder, encoding: 'utf8' }).stdout?.trim() ?? '';
const [node, sysroot] = [
  outputOf('bash', 'scripts/install-node.sh', '20', 'build/node', 'arm64'),
  outputOf('bash', 'scripts/install-arm64.sh'),
];
const compiled = await compileAll(repositoryFolder);

function run([file, processor]: (typeof RUNS)[number]): Promise<Outcome> {
  const words = ['-cpu', processor, '-L', sysroot, node, ...nodeArguments(`test/${file}.test.ts`, compiled)];
  const env = { ...process.env, RESNODE_TEST_COMPILED: compiled };
  return runFile(`${file} on ${processor}`, 'qemu-aarch64', words, env);
}

const queue = [...RUNS];
const results: Outcome[] = [];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results.push(await run(next));
  }),
);
conclude(results);
