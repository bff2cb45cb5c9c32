/** NaN and infinities on the emulated CUDA device, in every precision, forward and backward. */
import { test } from 'uvu';
import { openEmulated } from '../support/emulated.ts';
import { testNotANumber } from '../support/not-a-number-cases.ts';
import { testNotANumberBackward } from '../support/not-a-number-gradients.ts';

const device = await openEmulated();
if (device !== null) {
  test.after(() => device.dispose());
  for (const precision of ['float32', 'tf32', 'float16', 'bfloat16'] as const) {
    testNotANumber(`CUDA in ${precision}`, device, { precision });
    testNotANumberBackward(`CUDA in ${precision}`, device, { precision });
  }
}

test.run();
