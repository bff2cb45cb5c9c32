/** Treats SIGINT and SIGTERM as a request to finish; a second signal ends the process at once. */
import { ResnodeError } from '../base/errors.ts';

export interface Stop extends Disposable {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** The exit status: 128 plus the number of the signal, as in shells. */
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
