/** SIGINT and SIGTERM as a request to end in order; a second one ends the process at once, as without us. */
import { ResnodeError } from '../base/errors.ts';

export interface Stop extends Disposable {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** What the process ends with then: 128 and the signal's number, as a shell says it. */
  readonly status: number;
}

const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;

/** Listens until it is disposed. */
export function stopOnSignals(): Stop {
  const controller = new AbortController();
  let status = 0;
  const stop = (name: NodeJS.Signals) => {
    remove();
    status = 128 + SIGNALS[name as keyof typeof SIGNALS];
    process.exitCode = status;
    console.error(`resnode: ${name}: finishing; a second one ends at once`);
    controller.abort(new ResnodeError('train/stopped', `stopped by ${name} before it finished`));
  };
  const remove = () => {
    for (const name of Object.keys(SIGNALS)) process.removeListener(name, stop);
  };
  for (const name of Object.keys(SIGNALS)) process.on(name, stop);
  return {
    signal: controller.signal,
    get status() {
      return status;
    },
    [Symbol.dispose]: remove,
  };
}
