/**
 * Compares recorded cases of real Caffe with a device, as `resnode parity` does. Prints a line of JSON for each as soon
 * as it is done, so that the results so far survive if the process is killed. Exits with status 1 if an array exceeds
 * its tolerance.
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
  // A case that cannot be loaded or run does not stop the others.
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
