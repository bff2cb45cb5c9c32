/**
 * Checks a message made in code against caffe.proto, so that a misspelt field of a layer is an error instead of having no
 * effect.
 */
import { didYouMean, isObject, type Kind, type Mistake, within } from '../base/kinds.ts';
import { enums, messages } from './schema.ts';

const MAX_DEPTH = 100;
const SCALARS: Readonly<Record<string, readonly [expected: string, accepts: (value: unknown) => boolean]>> = {
  string: ['a string', (value) => typeof value === 'string'],
  bytes: ['a Uint8Array', (value) => value instanceof Uint8Array],
  bool: ['true or false', (value) => typeof value === 'boolean'],
  float: ['a number', (value) => typeof value === 'number'],
  double: ['a number', (value) => typeof value === 'number'],
  int32: ['an integer', Number.isInteger],
  uint32: ['an integer of at least 0', (value) => Number.isInteger(value) && (value as number) >= 0],
  int64: ['an integer', (value) => typeof value === 'bigint' || Number.isInteger(value)],
};

/**
 * @param type The message's name in caffe.proto.
 * @param expected Default: the name with its article.
 */
export function message<T>(type: string, expected = `a ${type}`): Kind<T> {
  return { expected, mistake: (value) => mistakeOfMessage(type, value, expected, 0) };
}

function mistakeOfMessage(type: string, value: unknown, expected: string, depth: number): Mistake | null {
  if (!isObject(value) || Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    return { path: '', expected, actual: value };
  if (depth > MAX_DEPTH) return { path: '', expected: `messages at most ${MAX_DEPTH} deep`, actual: value };
  const fields = fieldsOf(type);
  for (const name of Object.keys(value)) {
    const field = (value as Readonly<Record<string, unknown>>)[name];
    if (field === undefined) continue;
    const mistakeOf = fields.get(name);
    if (mistakeOf === undefined) {
      const hint = didYouMean(name, [...fields.keys()]);
      return { path: '', expected: `the fields of ${type}`, actual: name, hint };
    }
    const mistake = mistakeOf(field, depth);
    if (mistake !== null) return within(`.${name}`, mistake);
  }
  return null;
}

/** @param depth The number of messages around a value. */
type MistakeOf = (value: unknown, depth: number) => Mistake | null;

const known = new Map<string, ReadonlyMap<string, MistakeOf>>();

/** A message's fields by name. They are built for its first value, since a net has thousands of each message. */
function fieldsOf(type: string): ReadonlyMap<string, MistakeOf> {
  let fields = known.get(type);
  if (fields === undefined) {
    fields = new Map(
      Object.entries(messages[type]!).map(([name, [, definition]]) => [name, fieldKind(definition)]),
    );
    known.set(type, fields);
  }
  return fields;
}

function fieldKind(definition: string): MistakeOf {
  if (!/^[*+]/.test(definition)) return itemKind(definition);
  const type = definition.slice(1);
  const mistakeOf = itemKind(type);
  return (value, depth) => {
    if (!Array.isArray(value)) return { path: '', expected: `a list (of ${type})`, actual: value };
    for (let i = 0; i < value.length; i++) {
      const mistake = mistakeOf(value[i], depth);
      if (mistake !== null) return within(`[${i}]`, mistake);
    }
    return null;
  };
}

function itemKind(type: string): MistakeOf {
  const [family, name] = type.split(':') as [string, string | undefined];
  if (family === 'message') return (value, depth) => mistakeOfMessage(name!, value, `a ${name}`, depth + 1);
  if (family === 'enum') {
    const names = Object.keys(enums[name!]!);
    return (value) =>
      names.includes(value as string)
        ? null
        : { path: '', expected: names.join(', '), actual: value, hint: didYouMean(value, names) };
  }
  const [expected, accepts] = SCALARS[family] ?? SCALARS.int64!;
  return (value) => (accepts(value) ? null : { path: '', expected, actual: value });
}
