/** Words of a command line that a reader can paste into a shell. */

/** In single quotes, where a POSIX shell reads every character as it is. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A word as it is if no shell reads its characters in another way, otherwise in quotes. */
export const shellWord = (text: string): string =>
  /^[\p{L}\p{N}_@%+=:,./-]+$/u.test(text) ? text : quoted(text);
