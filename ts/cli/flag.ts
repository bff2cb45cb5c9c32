/**
 * A flag of a command is a row of a table of options: the row's kind parses its value, and the row's description is its help
 * text.
 */
import { type Command, Option } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import type { Kind, Written } from '../base/kinds.ts';
import { type Option as Row, signatures } from '../base/options.ts';
import { type OwnFlag, ownFlags } from './own-flags.ts';

export class Flag extends Option {
  readonly row: Row;
  /** The library's name of the option; null: the option exists only on the command line. */
  readonly option: string | null;

  /**
   * @param flags In commander's syntax: `--batch <n>`, `--images <path...>`, `--no-tune`, `--json`.
   * @param value The value without the flag. Default: undefined, so that the library's default applies.
   * @param option The library's name of the option. Default null.
   * @param description The help text. Default: the row's description.
   */
  constructor(
    flags: string,
    row: Row,
    value?: unknown,
    option: string | null = null,
    description = row.description,
  ) {
    super(flags, sentenceOf(flags, { ...row, description }, value));
    this.option = option;
    this.row = row;
    if (value !== undefined) this.default(value);
    const { written } = row.kind;
    if (!this.required && !this.optional) return;
    if (written === undefined) throw new Error(`${flags}: its kind cannot be written on a command line`);
    this.argParser((text, before) => this.#read(row.kind, written, text, before));
  }

  /** @throws ArgumentError that names the flag */
  #read(kind: Kind, { expected, read, join }: Written, text: string, before: unknown): unknown {
    const value = read(text);
    const mistake = kind.mistake(value);
    if (mistake !== null) throw this.#error(expected, text, mistake.path === '' ? mistake.hint : undefined);
    if (this.variadic) return [...((before as unknown[] | undefined) ?? []), value];
    if (join === undefined || before === undefined) return value;
    return join(before, value) ?? this.#refuse(expected, text);
  }

  #refuse(expected: string, text: string): never {
    throw this.#error(expected, text);
  }

  #error(expected: string, text: string, hint?: string): ArgumentError {
    return new ArgumentError(this.long!, expected, text, hint);
  }
}

/** The help text: the row's description, the expected value and the default. */
function sentenceOf(flags: string, { description, kind, default: fallback }: Row, value: unknown): string {
  const takesValue = /[<[]/.test(flags);
  if (!takesValue) return description;
  const { expected = '' } = kind.written ?? {};
  const isPlain = expected === 'a path' || expected === 'a string';
  // Shows the command's own default if it has one. For an empty list or object it shows the library's.
  const shown = String(typeof value === 'object' && !Array.isArray(value) ? '' : (value ?? '')) || fallback;
  const parts = [
    ...(isPlain ? [] : [expected]),
    ...(shown === null || shown === '' ? [] : [`default: ${shown}`]),
  ];
  return parts.length === 0 ? description : `${description} (${parts.join('; ')})`;
}

/**
 * The flag of an option of a public function.
 * @param name The function's name in docs/options.md; its module must be loaded.
 * @param option A parameter or an option: `batch`, `warmup.rate`.
 */
export function flag(name: string, option: string, flags: string, value?: unknown): Flag {
  return new Flag(flags, rowOf(name, option), value, option);
}

/**
 * A flag that switches an option off: `--no-tune`.
 * @param description What the flag does; the option's own description says what happens without it.
 */
export function off(name: string, option: string, flags: string, description: string): Flag {
  return new Flag(flags, rowOf(name, option), undefined, option, description);
}

function rowOf(name: string, option: string): Row {
  const rows = signatures.get(name)?.parameters ?? {};
  const row = rowAt(rows, option.split('.'));
  if (row === undefined) throw new Error(`no table has the row ${name} ${option}`);
  return row;
}

function rowAt(rows: Readonly<Record<string, Row>>, [name, ...rest]: readonly string[]): Row | undefined {
  const all = [rows, ...Object.values(rows).map(tableOf)];
  const row = all.find((table) => Object.hasOwn(table, name!))?.[name!];
  return rest.length === 0 || row === undefined ? row : rowAt(tableOf(row), rest);
}

const tableOf = ({ kind }: Row): Readonly<Record<string, Row>> =>
  'table' in kind ? (kind.table as Readonly<Record<string, Row>>) : {};

/** A flag that corresponds to no option of a function. */
export function own(name: OwnFlag, value?: unknown): Flag {
  const { flags, row } = ownFlags[name];
  return new Flag(flags, row, value);
}

/** Adds flags under a heading of --help. */
export function group(command: Command, heading: string, ...flags: readonly Flag[]): Command {
  for (const each of flags) command.addOption(each.helpGroup(heading));
  return command;
}

/** The same flag, but required. */
export const needed = (made: Flag): Flag => made.makeOptionMandatory();
