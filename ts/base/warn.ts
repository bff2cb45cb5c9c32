/**
 * Warnings about input that works but was probably not intended. Node prints each once on stderr, and
 * `process.on('warning')` receives them.
 */

/** A warning: a code for programs and a sentence for people. */
export interface Warning {
  /** Stable, e.g. `weights/partial`. */
  readonly code: string;
  readonly message: string;
}

/** How often a warning is printed. */
export interface WarningOptions {
  /** Prints only the first warning with this code, since thousands of images could repeat it. Default false. */
  readonly once?: boolean;
}

const TYPE = 'ResnodeWarning';
/** This many warnings are remembered, so that reading a file twice prints its warnings once. */
const MOST = 1000;
const printed = new Set<string>();
const printedOnce = new Set<string>();
let send = (warning: Warning, _options: WarningOptions): void =>
  process.emitWarning(warning.message, { type: TYPE, code: warning.code });

/** @param code Stable, of the form `area/what`, like the code of an error. */
export function warn(code: string, message: string, options: WarningOptions = {}): void {
  const [all, key] = options.once ? [printedOnce, code] : [printed, message];
  if (all.has(key)) return;
  if (all.size === MOST) all.clear();
  all.add(key);
  send({ code, message }, options);
}

/** For resnode's own threads: sends warnings to the thread that started this one, which calls `warn` with them. */
export function forwardWarnings(forward: (warning: Warning, options: WarningOptions) => void): void {
  send = forward;
}

/** Prints resnode's warnings in the form of the command line's errors, and all others as Node does. */
export const printWarningsToStderr = (): void =>
  takeWarnings(({ message }) => console.error(`resnode: warning: ${message}`));

/** Passes resnode's warnings to `take` only; all others still go to the listeners that were registered. */
export function takeWarnings(take: (warning: Warning) => void): void {
  const others = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name === TYPE)
      take({ code: (warning as { code?: string }).code ?? '', message: warning.message });
    else for (const print of others) print(warning);
  });
}
