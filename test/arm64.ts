/**
 * Runs tests of the CPU device on 64-bit Arm, under qemu's user-mode emulation: `npm run test-arm64`, which builds the
 * addon for it first. The files are those that need neither other processes nor other native packages; emulated, a
 * processor is some twenty times as slow, so that they are few.
 */
import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { compileAll } from './compile.ts';
import { nodeArguments } from './support/command.ts';
import { repositoryFolder } from './support/golden.ts';

/** With FEAT_I8MM, with dot products alone, and with neither: int8's tiles are different ones. */
const PROCESSORS = ['max', 'cortex-a76', 'cortex-a72'];
const RUNS: readonly (readonly [file: string, processor: string])[] = [
  ['cpu/kernels', 'max'],
  ['device/golden', 'max'],
  ...PROCESSORS.map((processor) => ['cpu/int8-kernels', processor] as const),
  ['cpu/filters', 'max'],
  ['cpu/filter-gradients', 'max'],
];
const LIMIT_MS = 1_200_000;

const outputOf = (command: string, ...words: string[]) =>
  spawnSync(command, words, { cwd: repositoryFolder, encoding: 'utf8' }).stdout?.trim() ?? '';
const [node, sysroot] = [
  outputOf('bash', 'scripts/install-node.sh', '20', 'build/node', 'arm64'),
  outputOf('bash', 'scripts/install-arm64.sh'),
];
const compiled = await compileAll(repositoryFolder);

/** True where every test passed, at least one. */
function run([file, processor]: (typeof RUNS)[number]): Promise<boolean> {
  const start = performance.now();
  const words = ['-cpu', processor, '-L', sysroot, node, ...nodeArguments(`test/${file}.test.ts`, compiled)];
  return new Promise((resolve) => {
    const child = spawn('qemu-aarch64', words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
      env: { ...process.env, RESNODE_TEST_COMPILED: compiled },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    child.on('error', (error) => {
      output += error.message;
    });
    child.on('close', (status) => {
      const total = Number(/Total:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const passed = Number(/Passed:\s+(\d+)/.exec(output)?.[1] ?? 0);
      const seconds = ((performance.now() - start) / 1000).toFixed(0);
      console.log(`${file} on ${processor}: ${passed} of ${total}, ${seconds} s`);
      const isGood = status === 0 && total > 0 && passed === total;
      if (!isGood) console.log(output);
      resolve(isGood);
    });
  });
}

const queue = [...RUNS];
const results: boolean[] = [];
await Promise.all(
  Array.from({ length: availableParallelism() }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results.push(await run(next));
  }),
);
rmSync(compiled, { recursive: true });
const failed = results.filter((isGood) => !isGood).length;
console.log(`linux-arm64: ${results.length - failed} of ${results.length} runs passed`);
process.exitCode = failed === 0 ? 0 : 1;
