/** A flag of a command is a row of a table of options: its kind reads it, its sentence is the help. */
import { type Command, Option } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import type { Kind, Written } from '../base/kinds.ts';
import { type Option as Row, signatures } from '../base/options.ts';
import { type OwnFlag, ownFlags } from './own-flags.ts';

export class Flag extends Option {
  readonly row: Row;
  /** Of the library's option that it is; null: it is the command's own. */
  readonly option: string | null;

  /**
   * @param flags As commander takes them: `--batch <n>`, `--images <path...>`, `--no-tune`, `--json`.
   * @param value Where it is not given. Default: undefined, the library's own default counts.
   * @param option The library's name for it. Default null.
   * @param says What --help says. Default: the row's sentence.
   */
  constructor(flags: string, row: Row, value?: unknown, option: string | null = null, says = row.says) {
    super(flags, sentenceOf(flags, { ...row, says }, value));
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

/** What --help says: the row's sentence, what a value must be, and the default. */
function sentenceOf(flags: string, { says, kind, default: fallback }: Row, value: unknown): string {
  const takesValue = /[<[]/.test(flags);
  if (!takesValue) return says;
  const { expected = '' } = kind.written ?? {};
  const isPlain = expected === 'a path' || expected === 'a string';
  // Where the command has a default of its own, that one; an empty list or object is the library's.
  const shown = String(typeof value === 'object' && !Array.isArray(value) ? '' : (value ?? '')) || fallback;
  const parts = [
    ...(isPlain ? [] : [expected]),
    ...(shown === null || shown === '' ? [] : [`default: ${shown}`]),
  ];
  return parts.length === 0 ? says : `${says} (${parts.join('; ')})`;
}

/**
 * The flag of an option of a public function.
 * @param name The function's, as in docs/options.md; its module must be loaded.
 * @param option A parameter, or an option: `batch`, `warmup.rate`.
 */
export function flag(name: string, option: string, flags: string, value?: unknown): Flag {
  return new Flag(flags, rowOf(name, option), value, option);
}

/**
 * The flag that switches such an option off: `--no-tune`.
 * @param says What happens then; the option's own sentence says what happens without the flag.
 */
export function off(name: string, option: string, flags: string, says: string): Flag {
  return new Flag(flags, rowOf(name, option), undefined, option, says);
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

/** A flag that no function has an option for. */
export function own(name: OwnFlag, value?: unknown): Flag {
  const { flags, row } = ownFlags[name];
  return new Flag(flags, row, value);
}

/** Adds flags under a heading of --help. */
export function group(command: Command, heading: string, ...flags: readonly Flag[]): Command {
  for (const each of flags) command.addOption(each.helpGroup(heading));
  return command;
}

/** The same, to be given always. */
export const needed = (made: Flag): Flag => made.makeOptionMandatory();
