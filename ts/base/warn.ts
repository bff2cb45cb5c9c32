/** Warnings: what was taken, but hardly meant. Node prints each once on stderr; `process.on('warning')` sees them. */

/** What works and is hardly meant: for programs by its code, for people as a sentence. */
export interface Warning {
  /** Stable, e.g. `weights/partial`. */
  readonly code: string;
  readonly message: string;
}

/** How often a warning is printed. */
export interface WarningOptions {
  /** Of all warnings of its code the first alone: thousands of images would repeat the same. Default false. */
  readonly once?: boolean;
}

const TYPE = 'ResnodeWarning';
/** Of these so many are remembered, so that one read of a file twice is said once. */
const MOST = 1000;
const said = new Set<string>();
const saidOnce = new Set<string>();
let send = (warning: Warning, _options: WarningOptions): void =>
  process.emitWarning(warning.message, { type: TYPE, code: warning.code });

/** @param code Stable, `area/what`, as an error's. */
export function warn(code: string, message: string, options: WarningOptions = {}): void {
  const [all, key] = options.once ? [saidOnce, code] : [said, message];
  if (all.has(key)) return;
  if (all.size === MOST) all.clear();
  all.add(key);
  send({ code, message }, options);
}

/** In a thread of resnode's own: warnings go to the thread that started it, which calls `warn` with them. */
export function forwardWarnings(forward: (warning: Warning, options: WarningOptions) => void): void {
  send = forward;
}

/** Prints these warnings in the form of the command line's errors, and all others as Node does. */
export const printWarningsToStderr = (): void =>
  takeWarnings(({ message }) => console.error(`resnode: warning: ${message}`));

/** These warnings go there, and nowhere else; all others go where they went. */
export function takeWarnings(take: (warning: Warning) => void): void {
  const others = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name === TYPE)
      take({ code: (warning as { code?: string }).code ?? '', message: warning.message });
    else for (const print of others) print(warning);
  });
}
