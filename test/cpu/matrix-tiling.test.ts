/**
 * How convolutions are split into products of matrices, on processors with and without AMX: compiled with AddressSanitizer
 * and UBSan (test/cpu/matrix-tiling.cc). Each C++ case is a case here.
 */
import { test } from 'uvu';
import { compileProgram, testCasesOf } from '../support/compiled-program.ts';

const program = compileProgram(
  [
    'test/cpu/matrix-tiling.cc',
    'native/operations/convolution/cpu-matrix-tiling.cc',
    'native/operations/convolution/cpu-matrix-source.cc',
    'native/operations/convolution/cpu-matrix-run.cc',
    'native/operations/convolution/cpu-window.cc',
    'native/cpu/thread-pool.cc',
    'native/cpu/processors.cc',
  ],
  ['-g1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-pthread'],
);
testCasesOf(program, 60, 'every case completes and touches only its own bytes');

test.run();
