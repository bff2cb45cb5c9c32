/**
 * Recorded cases of real Caffe on a device, as `resnode parity` compares them, and a line of JSON for each as it is done: who is
 * ended in the middle keeps what was compared. Exit status 1 where an array is beyond its tolerance.
 *
 *   tsx bench/gpu/parity.ts DEVICE PRECISION TUNE FOLDER…    TUNE: tune, or no-tune
 */
import { ResnodeError } from '../../ts/base/errors.ts';
import type { DeviceKind } from '../../ts/device/device.ts';
import { openDevice } from '../../ts/index.ts';
import { checkCase, type FloatPrecision } from '../../ts/tools/parity/check-case.ts';
import { findGoldenCases, readGoldenCase } from '../../ts/tools/parity/golden-case.ts';

const [kind, precision, tune, ...folders] = process.argv.slice(2);
using device = await openDevice(kind as DeviceKind, kind === 'cuda' ? { tune: tune === 'tune' } : {});
for (const folder of folders.flatMap(findGoldenCases)) {
  // One that cannot be loaded or run does not keep the others from being compared.
  const result = await checkCase(device, readGoldenCase(folder), precision as FloatPrecision).catch(
    (error: unknown) => {
      if (error instanceof ResnodeError)
        return { ok: false, checks: [], firstDivergence: null, error: error.message };
      throw error;
    },
  );
  const { ok, checks, firstDivergence } = result;
  const worstRelative = checks.reduce((most, { relative }) => Math.max(most, relative), 0);
  const error = 'error' in result ? { error: result.error } : {};
  console.log(
    JSON.stringify({ folder, ok, checks: checks.length, worstRelative, firstDivergence, ...error }),
  );
  if (!ok) process.exitCode = 1;
}
