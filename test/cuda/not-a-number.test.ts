/** Not-a-number and the infinities on the CUDA device, emulated. */
import { test } from 'uvu';
import { openEmulated } from '../support/emulated.ts';
import { testNotANumber } from '../support/not-a-number-cases.ts';

const device = await openEmulated();
if (device !== null) {
  test.after(() => device.dispose());
  testNotANumber('CUDA', device);
}

test.run();
