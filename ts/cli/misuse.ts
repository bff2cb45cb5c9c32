/** Replaces commander's message about an invalid command line if the real cause is another one. */
import type { Command } from 'commander';
import { nearest } from '../base/suggest.ts';
import { withNewName } from './renamed.ts';

/**
 * The message for the user. Commander checks for missing options before it checks for unknown ones, so the cause may be a
 * misspelt `--mdoel`. Some commands take images as an argument and others with `--images`.
 * @param text Commander's message, which begins with `error: `.
 * @param words The command line.
 */
export function misuseText(command: Command, text: string, words: readonly string[]): string {
  if (text.startsWith('error: required option') || text.startsWith('error: missing required argument')) {
    const unknown = unknownFlag(command, words);
    if (unknown !== undefined) return unknownText(command, unknown);
  }
  if (text.startsWith('error: too many arguments') && names(command).includes('--images'))
    return text.trimEnd().replace(/\.?$/, '; images are given by --images\n');
  return withNewName(command.name(), text).replace(/\n\(Did you mean/, ' (Did you mean');
}

const names = (command: Command): string[] => command.options.flatMap(({ long }) => long ?? []);

function unknownFlag(command: Command, words: readonly string[]): string | undefined {
  const end = words.indexOf('--');
  return words
    .slice(0, end < 0 ? words.length : end)
    .map((word) => word.split('=')[0]!)
    .find((word) => /^--[a-z]/.test(word) && word !== '--help' && !names(command).includes(word));
}

function unknownText(command: Command, flag: string): string {
  const meant = nearest(flag, names(command));
  return `error: unknown option '${flag}'${meant === undefined ? '' : ` (Did you mean ${meant}?)`}\n`;
}
