/**
 * The CPU device's threads, and a kernel with scratch memory per thread, compiled with ThreadSanitizer
 * (test/cpu/thread-pool.cc). Each C++ case is a case here.
 */
import { test } from 'uvu';
import { compileProgram, testCasesOf } from '../support/compiled-program.ts';

const program = compileProgram(
  [
    'test/cpu/thread-pool.cc',
    'native/cpu/thread-pool.cc',
    'native/cpu/processors.cc',
    'native/operations/pooling/cpu-loops.cc',
  ],
  ['-g', '-fopenmp-simd', '-fsanitize=thread', '-pthread'],
);
testCasesOf(program, 31, 'every case completes without a data race');

test.run();
