/** NaN and infinities on every variant of the CPU device, forward and backward. */
import { test } from 'uvu';
import { DeviceError, openDevice } from '../../ts/index.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { testNotANumber } from '../support/not-a-number-cases.ts';
import { testNotANumberBackward } from '../support/not-a-number-gradients.ts';
import { INSTRUCTION_SETS } from '../support/open-kernels.ts';

const variants = [...INSTRUCTION_SETS, 'oneDNN' as const].flatMap((kernels) => [
  [kernels, { kernels }] as const,
  [`${kernels} without Winograd`, { kernels, winograd: false }] as const,
]);

for (const [name, options] of variants) {
  try {
    const device = await openDevice('cpu', { ...options, threads: 2, tune: false, ...cpuLibrary });
    test.after(() => device.dispose());
    testNotANumber(name, device, { spreads: !('winograd' in options) });
    testNotANumberBackward(name, device, {
      spreads: !('winograd' in options),
      mixesKinds: options.kernels === 'oneDNN',
    });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    console.log(`skipped: ${error.message}`);
  }
}

test.run();
