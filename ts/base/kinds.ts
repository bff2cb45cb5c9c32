/** Kinds of arguments: what a value must be, in words and as a check. Tables of options consist of them (`options.ts`). */
import { nearest } from './suggest.ts';

/** The position of a wrong value (`[2]`, `.shape`; empty for the whole), what was expected there and what was found. */
export interface Mistake {
  readonly path: string;
  readonly expected: string;
  readonly actual: unknown;
  /** A name that was probably meant, or a cure, appended to the message. */
  readonly hint?: string | undefined;
}

/** How values of a kind are written on a command line. */
export interface Written {
  /** Used in `--batch: expected …, but received x`. */
  readonly expected: string;
  /** The value of a text; invalid results are refused like any other value. */
  readonly read: (text: string) => unknown;
  /** Combines the values of a repeated flag; undefined: the flag must not be repeated. Default: the last one counts. */
  readonly join?: (before: unknown, value: unknown) => unknown;
  /** All possible texts, if they can be listed. */
  readonly choices?: readonly string[];
}

/** @typeParam T The type of the values, for the type checker only. */
export interface Kind<out T = unknown> {
  /** Used in `x: expected …, but received y`. */
  readonly expected: string;
  /** What `expected` lists, if it lists several things. */
  readonly alternatives?: readonly string[];
  /** Whether a wrong value was probably meant to be of this kind, and not of another one in `either`. Default: yes. */
  readonly isMeant?: (value: unknown) => boolean;
  /** Absent if the kind cannot be written on a command line. */
  readonly written?: Written;
  /** What is wrong with a value; null if nothing is. It may throw if the value cannot be read (a Proxy, a getter). */
  readonly mistake: (value: unknown) => Mistake | null;
  readonly type?: T;
}

/**
 * A kind that is defined by a predicate.
 * @param what The kind in words, or a list of alternatives.
 */
export function kind<T>(
  what: string | readonly string[],
  accepts: (value: unknown) => boolean,
  hint?: (value: unknown) => string | undefined,
): Kind<T> {
  const described = describing(typeof what === 'string' ? [what] : what);
  const { expected } = described;
  return {
    ...described,
    mistake: (value) => (accepts(value) ? null : { path: '', expected, actual: value, hint: hint?.(value) }),
  };
}

/**
 * Adds the form on a command line to a kind.
 * @param expected Default: the kind's own description.
 */
export const written = <K extends Kind>(
  kind: K,
  read: Written['read'],
  expected: string = kind.expected,
  join?: Written['join'],
): K => ({ ...kind, written: { expected, read, ...(join === undefined ? {} : { join }) } });

export const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** `"a", "b" or "c"`. */
const oneAmong = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

/** The words of a kind that is one of several things. */
export const describing = (alternatives: readonly string[]) => ({
  expected: oneAmong(alternatives),
  alternatives,
});

export const didYouMean = (word: unknown, names: Iterable<string>): string | undefined => {
  const name = typeof word === 'string' ? nearest(word, names) : undefined;
  return name === undefined ? undefined : `did you mean "${name}"?`;
};

export const anything: Kind<unknown> = kind('a value', () => true);
/** Any value that can be examined, unlike a Proxy that throws. */
export const readable: Kind<unknown> = kind('a value', (value) => {
  if (isObject(value)) Object.entries(value).some(([, each]) => each instanceof Object);
  return !(value instanceof Error);
});

export const boolean: Kind<boolean> = kind('true or false', (value) => typeof value === 'boolean');
export const string: Kind<string> = written(
  kind('a string', (value) => typeof value === 'string'),
  (text) => text,
);
export const callback = <T>(): Kind<T> => kind('a function', (value) => typeof value === 'function');
export const signal: Kind<AbortSignal> = kind('an AbortSignal', (value) => value instanceof AbortSignal);

/** @param from, to Inclusive. Default: the range in which a double counts integers. */
export function integer(from = Number.MIN_SAFE_INTEGER, to = Number.MAX_SAFE_INTEGER): Kind<number> {
  const range =
    to < Number.MAX_SAFE_INTEGER
      ? ` from ${from} to ${to}`
      : from > Number.MIN_SAFE_INTEGER
        ? ` of at least ${from}`
        : '';
  return written(
    kind(
      from === 1 && range === ' of at least 1' ? 'a positive integer' : `an integer${range}`,
      (value) => Number.isSafeInteger(value) && (value as number) >= from && (value as number) <= to,
    ),
    (text) => (/^[+-]?\d+$/.test(text) ? Number(text) : text),
  );
}

/** A finite number, unless `infinite` allows Infinity. */
export function number({
  from,
  above,
  to,
  infinite = false,
  not,
}: {
  readonly from?: number;
  readonly above?: number;
  readonly to?: number;
  readonly infinite?: boolean;
  readonly not?: number;
} = {}): Kind<number> {
  const least = above !== undefined ? ` above ${above}` : from !== undefined ? ` of at least ${from}` : '';
  const range =
    to === undefined ? least : above === undefined ? ` from ${from} to ${to}` : `${least} and at most ${to}`;
  return written(
    kind(
      `a number${range}${not === undefined ? '' : ` other than ${not}`}`,
      (value) =>
        typeof value === 'number' &&
        (infinite ? !Number.isNaN(value) : Number.isFinite(value)) &&
        (from === undefined || value >= from) &&
        (above === undefined || value > above) &&
        (to === undefined || value <= to) &&
        value !== not,
    ),
    (text) => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text),
  );
}

export function oneOf<const T extends string | number>(...values: readonly T[]): Kind<T> {
  const choices = values.map(String);
  const made = kind<T>(
    values.map((value) => JSON.stringify(value)),
    (value) => values.includes(value as T),
    (value) => didYouMean(value, choices),
  );
  const read = (text: string) => values.find((value) => String(value) === text) ?? text;
  return { ...made, written: { expected: oneAmong(choices), read, choices } };
}

/** The path of a file or folder. */
export const path: Kind<string> = written(
  kind('a path', (value) => typeof value === 'string' && value !== '' && !value.includes('\0')),
  (text) => text,
);

/** @param of The items in the plural, e.g. `blob names`. */
export function list<T>(
  item: Kind<T>,
  {
    of,
    atLeast = 0,
    exactly,
  }: { readonly of?: string; readonly atLeast?: number; readonly exactly?: number } = {},
): Kind<readonly T[]> {
  const items =
    of === undefined
      ? `a list, each item ${item.expected}`
      : `a list of ${exactly === undefined ? '' : `${exactly} `}${of}`;
  const expected = `${items}${atLeast > 0 ? `, ${atLeast} at least` : ''}`;
  const { written: itemWritten } = item;
  const made: Kind<readonly T[]> = {
    expected,
    mistake(value) {
      if (!Array.isArray(value)) {
        const hint =
          isScalar(value) && item.mistake(value) === null
            ? `did you mean [${JSON.stringify(value)}]?`
            : undefined;
        return { path: '', expected, actual: value, hint };
      }
      if (value.length < atLeast || value.length !== (exactly ?? value.length))
        return { path: '', expected, actual: value };
      for (let i = 0; i < value.length; i++) {
        const mistake = item.mistake(value[i]);
        if (mistake !== null) return within(`[${i}]`, mistake);
      }
      return null;
    },
  };
  if (itemWritten === undefined) return made;
  const read = (text: string) => {
    const parts = text.split(',').map((part) => part.trim());
    return parts.includes('') ? undefined : parts.map(itemWritten.read);
  };
  const listed = `${of ?? `each ${itemWritten.expected},`} with commas between them`;
  return written(made, read, exactly === undefined ? listed : `${exactly} ${listed}`);
}

/** An object whose names the caller chooses. */
export function record<T>(item: Kind<T>): Kind<Readonly<Record<string, T>>> {
  const expected = `an object, each value ${item.expected}`;
  const { written: itemWritten } = item;
  const made: Kind<Readonly<Record<string, T>>> = {
    expected,
    mistake(value) {
      if (!isPlain(value)) return { path: '', expected, actual: value };
      for (const [name, each] of Object.entries(value)) {
        const mistake = item.mistake(each);
        if (mistake !== null) return within(`.${name}`, mistake);
      }
      return null;
    },
  };
  if (itemWritten === undefined) return made;
  const read = (text: string) => {
    const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
    return name === undefined ? undefined : { [name]: itemWritten.read(value!) };
  };
  const join = (before: unknown, value: unknown) =>
    Object.keys(value as object).some((name) => Object.hasOwn(before as object, name))
      ? undefined
      : { ...(before as object), ...(value as object) };
  return written(made, read, `NAME=VALUE, once per name, with a value ${itemWritten.expected}`, join);
}

/** The sizes of a blob, outermost first: N×C×H×W. */
export const shape: Kind<readonly number[]> = written(
  list(integer(1), { of: 'positive integers' }),
  (text) => (/^\d+([x×,]\d+)*$/.test(text) ? text.split(/[x×,]/).map(Number) : text),
  'such as 1x3x224x224',
);
/** Shapes by blob. */
export const shapes: Kind<Readonly<Record<string, readonly number[]>>> = record(shape);

/**
 * An object with the given methods: one of ours, or a substitute.
 * @param what For example `a Device`.
 */
export function having<T>(what: string, ...methods: readonly (keyof T & string)[]): Kind<T> {
  return kind(
    what,
    (value) =>
      isObject(value) &&
      methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function'),
  );
}

/** @param of What it yields, in the plural. */
export const iterable = <T>(of: string): Kind<T> =>
  kind(
    `an iterable of ${of}`,
    (value) => isObject(value) && (Symbol.iterator in value || Symbol.asyncIterator in value),
  );

/** @param what For example `a Float32Array`. */
export function instance<T>(what: string, type: abstract new (...parameters: never[]) => T): Kind<T> {
  return kind(what, (value) => value instanceof type);
}

/** The cure for a stream in place of its bytes. */
export function readFirst(value: unknown): string | undefined {
  const isStream = isObject(value) && ('pipe' in value || value instanceof ReadableStream);
  return isStream ? 'read the stream first, with buffer() of node:stream/consumers' : undefined;
}

/** The bytes of a file. */
export const bytes: Kind<Uint8Array | ArrayBuffer> = kind(
  ['a Buffer', 'a Uint8Array', 'an ArrayBuffer'],
  (value) => value instanceof Uint8Array || value instanceof ArrayBuffer,
  readFirst,
);

export function nullOr<T>(item: Kind<T>): Kind<T | null> {
  const described = describing([...alternativesOf(item), 'null']);
  const { expected } = described;
  return {
    ...described,
    mistake: (value) => (value === null ? null : widened(item.mistake(value), expected)),
    ...(item.written === undefined ? {} : { written: item.written }),
  };
}

/** One of several kinds. If the value has the outer form of exactly one of them, that kind's mistake is returned. */
export function either<const K extends readonly Kind[]>(
  ...kinds: K
): Kind<K[number] extends Kind<infer T> ? T : never> {
  const described = describing(kinds.flatMap(alternativesOf));
  const { expected } = described;
  const forms = kinds.flatMap((each) => (each.written === undefined ? [] : [{ each, form: each.written }]));
  const form: Written = {
    expected: oneAmong(forms.map(({ form: { expected: words } }) => words)),
    read(text) {
      const values = forms.map(({ each, form: { read } }) => ({ each, value: read(text) }));
      const right = values.find(({ each, value }) => each.mistake(value) === null);
      return (right ?? values[0])?.value;
    },
  };
  return {
    ...described,
    ...(forms.length === 0 ? {} : { written: form }),
    mistake(value) {
      const mistakes: Mistake[] = [];
      const inner: Mistake[] = [];
      for (const each of kinds) {
        const mistake = each.mistake(value);
        if (mistake === null) return null;
        mistakes.push(mistake);
        if (mistake.path !== '' && each.isMeant?.(value) !== false) inner.push(mistake);
      }
      if (inner.length === 1) return inner[0]!;
      const hint = mistakes.find((mistake) => mistake.hint !== undefined)?.hint;
      return { path: '', expected, actual: value, hint };
    },
  };
}

/** The same kind in other words. */
export function describedAs<T>(item: Kind<T>, ...alternatives: readonly string[]): Kind<T> {
  const described = describing(alternatives);
  return {
    ...item,
    ...described,
    mistake: (value) => widened(item.mistake(value), described.expected),
  };
}

const alternativesOf = ({ expected, alternatives = [expected] }: Kind): readonly string[] => alternatives;

/** The mistake of a part, relative to the whole. */
export const within = (place: string, mistake: Mistake): Mistake => ({
  ...mistake,
  path: `${place}${mistake.path}`,
});

const widened = (mistake: Mistake | null, expected: string): Mistake | null =>
  mistake?.path === '' ? { ...mistake, expected } : mistake;

const isScalar = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value);

/** An object whose field names the caller chooses, not a list or typed array. */
const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  isObject(value) && !Array.isArray(value) && !ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer);
