/**
 * One table per public function: what each argument and option must be, its default and a description. All checks of
 * arguments and docs/options.md come from these tables.
 */
import { ArgumentError } from './errors.ts';
import { didYouMean, isObject, type Kind, type Mistake, within } from './kinds.ts';

/** A row of a table. */
export interface Option<out T = unknown> {
  readonly kind: Kind<T>;
  /** The default in words; null if the option is required. */
  readonly default: string | null;
  readonly description: string;
  /** Whether it is omitted from the reference. */
  readonly internal?: boolean;
}

/** A row for every field of an options type; the type checker ensures that none is missing. */
export type Table<T> = { readonly [Name in keyof T]-?: Option<Exclude<T[Name], undefined>> };

export const required = <T>(kind: Kind<T>, description: string): Option<T> => ({
  kind,
  default: null,
  description,
});
/** @param fallback The default, in words. */
export const optional = <T>(kind: Kind<T>, fallback: string, description: string): Option<T> => ({
  kind,
  default: fallback,
  description,
});
/** An option that only resnode's own code and tests use. */
export const internal = <T>(kind: Kind<T>): Option<T> => ({
  kind,
  default: '',
  description: '',
  internal: true,
});

/** A kind with its table. */
export interface TableKind<out T> extends Kind<T> {
  readonly table: Readonly<Record<string, Option>>;
  /** Whether unknown names are refused. */
  readonly isClosed: boolean;
}

/** Options: an object with these names and no others. */
export function options<T extends object>(table: Table<T>): TableKind<T> {
  const names = namesOf(table);
  const rows = rowsOf(table);
  const expected = `an object with ${names.length > 6 ? `${names.slice(0, 6).join(', ')}, …` : names.join(', ')}`;
  return {
    expected,
    table: table as Readonly<Record<string, Option>>,
    isClosed: true,
    mistake(value) {
      if (!isFields(value)) return { path: '', expected, actual: value };
      for (const name of Object.keys(value))
        if (!Object.hasOwn(table, name))
          return {
            path: '{}',
            expected: names.join(', '),
            actual: name,
            hint: didYouMean(name, names),
          };
      return mistakeOfRows(rows, value);
    },
  };
}

/** The fields of an object that are options of a table, for a function that takes fewer options than its caller. */
export function optionsOf<T extends object>({ table }: TableKind<T>, more: T): T {
  return Object.fromEntries(Object.entries(more).filter(([name]) => Object.hasOwn(table, name))) as T;
}

/**
 * An object of a known form, whose other fields are ignored.
 * @param what For example `a Tensor`.
 */
export function fields<T extends object>(what: string, table: Table<T>): TableKind<T> {
  const rows = rowsOf(table);
  return {
    expected: what,
    table: table as Readonly<Record<string, Option>>,
    isClosed: false,
    isMeant: (value) => isFields(value) && rows.some(([name]) => name in value),
    mistake: (value) =>
      isFields(value) ? mistakeOfRows(rows, value) : { path: '', expected: what, actual: value },
  };
}

/** The parameters of a public function, in their order. */
export class Signature {
  readonly name: string;
  readonly parameters: Readonly<Record<string, Option>>;
  readonly #rows: Rows;

  constructor(name: string, parameters: Readonly<Record<string, Option>>) {
    this.name = name;
    this.parameters = parameters;
    this.#rows = rowsOf(parameters);
  }

  /** @throws ArgumentError for the first value that does not match its row */
  check(...values: readonly unknown[]): void {
    for (const [i, [name, row]] of this.#rows.entries()) {
      const mistake = mistakeOf(row, values[i]);
      if (mistake !== null) throw this.#error(name, row, mistake);
    }
  }

  #error(name: string, { kind }: Option, { path, expected, actual, hint }: Mistake): ArgumentError {
    const isOptions = 'table' in kind && name === 'options';
    const isUnknown = path.endsWith('{}');
    const place = isUnknown ? path.slice(0, -2) : path;
    if (place === '' && isOptions)
      return new ArgumentError(`the options of ${this.name}`, expected, actual, hint);
    const named = isOptions ? place.replace(/^\./, '') : `${name}${place}`;
    return new ArgumentError(isUnknown ? `the fields of ${named}` : named, expected, actual, hint);
  }
}

/** All signatures by name, for the reference, and for the test that covers every function. */
export const signatures = new Map<string, Signature>();

/** @param name The name in a call: `openDevice`, `device.load`. */
export function signature(name: string, parameters: Readonly<Record<string, Option>>): Signature {
  const made = new Signature(name, parameters);
  signatures.set(name, made);
  return made;
}

const namesOf = (table: object): string[] =>
  Object.entries(table as Readonly<Record<string, Option>>)
    .filter(([, { internal: hidden }]) => hidden !== true)
    .map(([name]) => name);

type Rows = readonly (readonly [name: string, row: Option])[];
const rowsOf = (table: object): Rows => Object.entries(table as Readonly<Record<string, Option>>);

function mistakeOfRows(rows: Rows, value: object): Mistake | null {
  for (const [name, row] of rows) {
    const mistake = mistakeOf(row, (value as Readonly<Record<string, unknown>>)[name]);
    if (mistake !== null) return within(`.${name}`, mistake);
  }
  return null;
}

function mistakeOf({ kind, default: fallback }: Option, value: unknown): Mistake | null {
  if (value === undefined && fallback !== null) return null;
  try {
    return kind.mistake(value);
  } catch {
    // A Proxy, a getter or a detached object that throws when it is read.
    return { path: '', expected: `${kind.expected} that can be read`, actual: value };
  }
}

const isFields = (value: unknown): value is object => isObject(value) && !Array.isArray(value);
