/** Callbacks of a signal, however many of them wait at once. */

interface Listener {
  readonly callbacks: Set<() => void>;
  readonly abort: () => void;
}

const listeners = new WeakMap<AbortSignal, Listener>();

/**
 * Calls `callback` once when the signal aborts. All callbacks of a signal share one listener: Node warns of a leak from
 * the eleventh listener on, and a service gives one signal to hundreds of runs. The listener goes with the last callback,
 * because a signal that is listened to is not collected (`AbortSignal.any`, `AbortSignal.timeout`).
 * @param signal Undefined does nothing. One that has aborted never calls: look at `aborted` first.
 * @returns Withdraws the callback
 * @example
 * const withdraw = onAbort(signal, () => run.cancel());
 * await run.done.finally(withdraw);
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return () => {};
  const { callbacks, abort } = listeners.get(signal) ?? listen(signal);
  // A callback that is registered twice waits twice.
  const entry = () => callback();
  callbacks.add(entry);
  return () => {
    if (!callbacks.delete(entry) || callbacks.size > 0) return;
    signal.removeEventListener('abort', abort);
    listeners.delete(signal);
  };
}

function listen(signal: AbortSignal): Listener {
  const callbacks = new Set<() => void>();
  const abort = () => {
    listeners.delete(signal);
    for (const callback of [...callbacks]) if (callbacks.delete(callback)) callback();
  };
  const listener = { callbacks, abort };
  listeners.set(signal, listener);
  signal.addEventListener('abort', abort, { once: true });
  return listener;
}
