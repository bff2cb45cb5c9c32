/** Not-a-number and the infinities on every variant of the CPU device, forward and backward. */
import { test } from 'uvu';
import { DeviceError, openDevice } from '../../ts/index.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { testNotANumber } from '../support/not-a-number-cases.ts';
import { testNotANumberBackward } from '../support/not-a-number-gradients.ts';

const variants = [
  ['AVX-512', { kernels: 'AVX-512' }],
  ['AVX-512 without Winograd', { kernels: 'AVX-512', winograd: false }],
  ['AVX2', { kernels: 'AVX2' }],
  ['AVX2 without Winograd', { kernels: 'AVX2', winograd: false }],
  ['oneDNN', { kernels: 'oneDNN' }],
  ['oneDNN without Winograd', { kernels: 'oneDNN', winograd: false }],
] as const;

for (const [name, options] of variants) {
  try {
    const device = await openDevice('cpu', { ...options, threads: 2, tune: false, ...cpuLibrary });
    test.after(() => device.dispose());
    testNotANumber(name, device, { spreads: !('winograd' in options) });
    testNotANumberBackward(name, device);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    console.log(`skipped: ${error.message}`);
  }
}

test.run();
