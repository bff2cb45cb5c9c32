import type { ErrorCode } from '../base/error-codes.ts';
import { DeviceError, ResnodeError, WeightsError } from '../base/errors.ts';

/** A native error (a plain Error with `code`) as one of ours; anything else as it is. */
export function convertError(error: unknown, device: string): unknown {
  // What V8 says of typed arrays that are too long, or that there is no memory for.
  if (
    error instanceof RangeError &&
    /allocation failed|^Invalid (typed )?array (buffer )?length/.test(error.message)
  )
    return new DeviceError(
      'device/out-of-memory',
      device,
      `Not enough memory on ${device}: ${error.message}`,
      {
        cause: error,
      },
    );
  const code = (error as { code?: unknown } | undefined)?.code;
  if (
    error instanceof ResnodeError ||
    !(error instanceof Error) ||
    typeof code !== 'string' ||
    !code.includes('/')
  )
    return error;
  // test/structure compares the codes of native code with the table.
  const known = code as ErrorCode;
  if (code.startsWith('weights/')) return new WeightsError(known, {}, error.message, { cause: error });
  return new DeviceError(known, device, error.message, { cause: error });
}
