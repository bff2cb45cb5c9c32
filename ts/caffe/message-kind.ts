/** A message that was made in code, held to caffe.proto: a misspelt field of a layer is found before it counts for nothing. */
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

/** @param type The message's name in caffe.proto. @param expected Default: the name with its article. */
export function message<T>(type: string, expected = `a ${type}`): Kind<T> {
  return { expected, mistake: (value) => mistakeOfMessage(type, value, expected, 0) };
}

function mistakeOfMessage(type: string, value: unknown, expected: string, depth: number): Mistake | null {
  if (!isObject(value) || Array.isArray(value) || ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    return { path: '', expected, actual: value };
  if (depth > MAX_DEPTH) return { path: '', expected: `messages at most ${MAX_DEPTH} deep`, actual: value };
  const fields = messages[type]!;
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue;
    const definition = Object.hasOwn(fields, name) ? fields[name]![1] : null;
    if (definition === null) {
      const hint = didYouMean(name, Object.keys(fields));
      return { path: '', expected: `the fields of ${type}`, actual: name, hint };
    }
    const mistake = mistakeOfField(definition, field, depth);
    if (mistake !== null) return within(`.${name}`, mistake);
  }
  return null;
}

function mistakeOfField(definition: string, value: unknown, depth: number): Mistake | null {
  const repeated = /^[*+]/.test(definition);
  const type = repeated ? definition.slice(1) : definition;
  if (!repeated) return mistakeOfItem(type, value, depth);
  if (!Array.isArray(value)) return { path: '', expected: `a list (of ${type})`, actual: value };
  for (let i = 0; i < value.length; i++) {
    const mistake = mistakeOfItem(type, value[i], depth);
    if (mistake !== null) return within(`[${i}]`, mistake);
  }
  return null;
}

function mistakeOfItem(type: string, value: unknown, depth: number): Mistake | null {
  const [family, name] = type.split(':') as [string, string | undefined];
  if (family === 'message') return mistakeOfMessage(name!, value, `a ${name}`, depth + 1);
  if (family === 'enum') {
    const names = Object.keys(enums[name!]!);
    if (names.includes(value as string)) return null;
    return { path: '', expected: names.join(', '), actual: value, hint: didYouMean(value, names) };
  }
  const [expected, accepts] = SCALARS[family] ?? SCALARS.int64!;
  return accepts(value) ? null : { path: '', expected, actual: value };
}
