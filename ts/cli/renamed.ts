/**
 * Old names of flags, from before every command called its output --out and its JSON --json. They are refused, and the error
 * gives the new name.
 */
import { ArgumentError } from '../base/errors.ts';

const OUT = { '--output': '--out' };

const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  bench: { '--print-json': '--json' },
  cam: OUT,
  convert: { '--output-model': '--out-model', ...OUT },
  evaluate: OUT,
  features: OUT,
  run: { '--output-dir': '--out', ...OUT },
  view: OUT,
};

/** Commands that once took their output as a positional argument. */
const OUTPUT_BY_PLACE = ['bench', 'convert', 'idx', 'images', 'mean'];

/** @throws ArgumentError */
export function refuseOldNames([command, ...words]: readonly string[]): void {
  const renamed = RENAMED[command ?? ''] ?? {};
  for (const word of words) {
    if (word === '--') return;
    const name = word.split('=')[0]!;
    if (Object.hasOwn(renamed, name))
      throw new ArgumentError(`resnode ${command}`, `${renamed[name]}, its name in all commands now`, name);
  }
}

/** An error of commander, extended with the new flag for an output that is given as an argument. */
export const withNewName = (command: string, text: string): string =>
  OUTPUT_BY_PLACE.includes(command) && text.startsWith('error: too many arguments')
    ? text.trimEnd().replace(/\.?$/, '; --out names the file to write\n')
    : text;
