/** Callbacks of an AbortSignal, for any number of waiters. */

interface Listener {
  readonly callbacks: Set<() => void>;
  readonly abort: () => void;
}

const listeners = new WeakMap<AbortSignal, Listener>();

/**
 * Calls `callback` once when the signal aborts. All callbacks of a signal share one listener: Node warns of a leak from the
 * eleventh listener on, and a service passes one signal to hundreds of runs. The listener is removed with the last callback,
 * because a signal with listeners is not collected (`AbortSignal.any`, `AbortSignal.timeout`).
 * @param signal With undefined nothing happens. A signal that has already aborted never calls: check `aborted` first.
 * @returns Removes the callback
 * @example
 * const withdraw = onAbort(signal, () => run.cancel());
 * await run.done.finally(withdraw);
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return () => {};
  const { callbacks, abort } = listeners.get(signal) ?? listen(signal);
  // A callback that is registered twice is called twice.
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
