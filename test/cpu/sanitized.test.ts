/**
 * The CPU device and the reference loops under AddressSanitizer and UBSan. Only libraries are built with them
 * (build/sanitized). The tests of kernels, random nets and loops open these libraries in a process that starts with the
 * sanitizers' runtime.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nodeArguments } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const FILES = [
  'cpu/kernels.test.ts',
  'cpu/depthwise-pointwise.test.ts',
  'cpu/functions.test.ts',
  'cpu/concat.test.ts',
  'cpu/bfloat16-kernels.test.ts',
  'cpu/not-a-number-int8.test.ts',
  'device/cpu-gradients.test.ts',
  'fuzz/random-nets.test.ts',
  'cpu/reference-loops.ts',
];
const NETS = 20;
/** The addon's own build has already found these, so they need not be found again. */
const folder = join(repositoryFolder, 'build/sanitized');

function run(command: string, ...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  assert.is(status, 0, `${command} ${words.join(' ')}:\n${stdout}${stderr}${error?.message ?? ''}`);
  return stdout.trim();
}

const runtime = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout?.trim();
const hasOneDnn = existsSync(join(repositoryFolder, 'build/Release/libresnode_cpu.so'));
if (!hasOneDnn) console.log('skipped: the CPU device was not built (no oneDNN), and so not with sanitizers');
// g++ prints only the bare name of a file that it lacks.
else if (!runtime?.startsWith('/'))
  console.log('skipped: g++ has no AddressSanitizer (Debian: libasan, with gcc)');
else {
  test('the CPU device and the reference loops build with AddressSanitizer and UBSan', () => {
    run(
      'cmake',
      '-S',
      repositoryFolder,
      '-B',
      folder,
      '-DRESNODE_SANITIZE=ON',
      '-DCMAKE_BUILD_TYPE=None',
      '-DCMAKE_CXX_FLAGS=-g1',
      // All sources of a library at once: most of what there is to compile are headers and the templates in them.
      '-DCMAKE_UNITY_BUILD=ON',
      '-DCMAKE_UNITY_BUILD_BATCH_SIZE=0',
    );
    const targets = ['resnode_cpu', 'resnode_reference_device'];
    run('cmake', '--build', folder, '--target', ...targets, '--parallel', '2');
  });

  for (const file of FILES)
    test(`${file} reads and writes only its own bytes, and does nothing undefined`, () => {
      const child = spawnSync(process.execPath, nodeArguments(join('test', file)), {
        encoding: 'utf8',
        cwd: repositoryFolder,
        maxBuffer: 1 << 26,
        env: {
          ...process.env,
          LD_PRELOAD: runtime,
          RESNODE_TEST_CPU: folder,
          RESNODE_TEST_REFERENCE: join(folder, 'reference'),
          RESNODE_FUZZ_NETS: String(NETS),
          // Leaks are not reported, because V8 and Node leave memory to the end of the process. The SIGBUS handler of
          // mapped files stays ours. UBSan's traps end in an illegal instruction or a breakpoint.
          ASAN_OPTIONS:
            'detect_leaks=0:allow_user_segv_handler=1:abort_on_error=1:handle_sigill=1:handle_sigtrap=1',
        },
      });
      const output = `${child.stdout}${child.stderr}`;
      // With the file and line that it names.
      assert.is(/ERROR: AddressSanitizer.*/s.exec(output)?.[0], undefined);
      assert.is(child.status, 0, `ended with ${child.signal ?? child.status}:\n${output}`);
      assert.match(output, /Passed:\s+[1-9]/);
    });
}

test.run();
