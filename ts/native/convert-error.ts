import { DeviceError, ResnodeError } from '../errors.ts';

/** A native error (a plain Error with `code`) as one of ours; anything else as it is. */
export function convertError(error: unknown, device: string): unknown {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (
    error instanceof ResnodeError ||
    !(error instanceof Error) ||
    typeof code !== 'string' ||
    !code.includes('/')
  )
    return error;
  return new DeviceError(code, device, error.message, { cause: error });
}
