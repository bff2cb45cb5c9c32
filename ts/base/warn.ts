/** Warnings: what was taken, but hardly meant. Node prints each once on stderr; `process.on('warning')` sees them. */

/** What works and is hardly meant: for programs by its code, for people as a sentence. */
export interface Warning {
  /** Stable, e.g. `weights/partial`. */
  readonly code: string;
  readonly message: string;
}

const TYPE = 'ResnodeWarning';
/** Of these so many are remembered, so that one read of a file twice is said once. */
const MOST = 1000;
const said = new Set<string>();

/** @param code Stable, `area/what`, as an error's. */
export function warn(code: string, message: string): void {
  if (said.has(message)) return;
  if (said.size === MOST) said.clear();
  said.add(message);
  process.emitWarning(message, { type: TYPE, code });
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
