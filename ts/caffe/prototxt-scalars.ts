/** The values of scalar fields in the text format: strings, booleans, enum values and numbers. */
import { PrototxtError } from '../base/errors.ts';
import { nearest } from '../base/suggest.ts';
import { forkOfEnumValue, isTuningEnumValue } from './fork-fields.ts';
import { explainV1Type } from './layer-forms.ts';
import { fail, type Source, show } from './prototxt-source.ts';
import { enums } from './schema.ts';
import { type Token, type Tokens, unescapeString } from './tokens.ts';

const INTEGER_RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

const BOOLS: Readonly<Record<string, boolean>> = {
  true: true,
  True: true,
  t: true,
  '1': true,
  false: false,
  False: false,
  f: false,
  '0': false,
};

/** Reads a value of a scalar type of protobuf, or of `enum:NAME`. */
export function parseScalar(tokens: Source, name: string, type: string): unknown {
  if (type === 'string' || type === 'bytes') return parseString(tokens, name, type);
  if (type === 'bool') return parseBool(tokens, name);
  if (type.startsWith('enum:')) return parseEnum(tokens, name, type.slice(5));
  if (type === 'float' || type === 'double') return parseFloating(tokens, name, type);
  return parseInteger(tokens, name, type);
}

function parseString(tokens: Tokens, name: string, type: string): string | Uint8Array {
  if (tokens.current.kind !== 'string')
    fail(
      tokens,
      'type',
      `"${name}" expects a quoted string, found ${show(tokens.current)}${templateHint(tokens.current)}`,
    );
  let parts: Uint8Array[] = [];
  while (tokens.current.kind === 'string') {
    parts.push(unescapeString(tokens.next(), tokens.file));
    // A part with a single letter takes a hundred times as long.
    if (parts.length >= 4096) parts = [Buffer.concat(parts)];
  }
  const bytes = Buffer.concat(parts);
  return type === 'bytes' ? new Uint8Array(bytes) : bytes.toString('utf8');
}

function parseBool(tokens: Tokens, name: string): boolean {
  const value = Object.hasOwn(BOOLS, tokens.current.text) ? BOOLS[tokens.current.text] : undefined;
  if (value === undefined)
    fail(
      tokens,
      'type',
      `"${name}" expects true or false, found ${show(tokens.current)}${templateHint(tokens.current)}`,
    );
  tokens.next();
  return value;
}

/** @returns undefined for a fork's value that the caller handles */
function parseEnum(tokens: Source, name: string, type: string): string | undefined {
  const values = enums[type]!;
  const token = tokens.current;
  const known =
    token.kind === 'identifier' && Object.hasOwn(values, token.text)
      ? token.text
      : token.kind === 'integer'
        ? Object.keys(values).find((key) => values[key] === integerOf(token.text))
        : undefined;
  if (known === undefined) {
    const expected = `"${name}" expects one of ${Object.keys(values).join(', ')}, found ${show(token)}${templateHint(token)}`;
    const fork = forkOfEnumValue(type, token.text);
    if (fork !== undefined && tokens.onForkField !== undefined) {
      const refusal = new PrototxtError('prototxt/fork-enum', tokens.position(token), `${expected}: ${fork}`);
      const { layer } = tokens;
      tokens.onForkField({ refusal, type, name: token.text, tunes: isTuningEnumValue(type), layer });
      tokens.next();
      return undefined;
    }
    if (fork !== undefined) fail(tokens, 'fork-enum', `${expected}: ${fork}`);
    const slip = type === 'V1LayerParameter.LayerType' ? explainV1Type(token.text) : undefined;
    if (slip !== undefined) fail(tokens, 'layer-form', slip);
    const near = nearest(token.text, Object.keys(values));
    fail(tokens, 'enum', near === undefined ? expected : `${expected}; did you mean ${near}?`);
  }
  tokens.next();
  return known;
}

function integerOf(text: string): number {
  return Number(/^0[0-7]+$/.test(text) ? `0o${text.slice(1)}` : text);
}

function parseInteger(tokens: Tokens, name: string, type: string): number | bigint {
  const sign = tokens.current;
  const signed = type.startsWith('int');
  const negative = signed && tokens.take('-');
  const token = tokens.current;
  if (token.kind !== 'integer' || token.text.length > 40) {
    fail(
      tokens,
      'type',
      `"${name}" expects ${signed ? 'an integer' : 'a non-negative integer'}, found ${show(token)}${templateHint(token)}`,
    );
  }
  if (/^0\d*[89]/.test(token.text))
    fail(tokens, 'number', `${token.text} begins with 0, so it is octal, but has a digit above 7`);
  const magnitude = BigInt(/^0[0-7]+$/.test(token.text) ? `0o${token.text.slice(1)}` : token.text);
  const value = negative ? -magnitude : magnitude;
  const [low, high] = INTEGER_RANGES[type]!;
  if (value < low || value > high) {
    fail(
      tokens,
      'range',
      `${value} is out of range for "${name}" (${type}, ${low} to ${high})`,
      negative ? sign : token,
    );
  }
  tokens.next();
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function parseFloating(tokens: Tokens, name: string, type: string): number {
  const negative = tokens.take('-');
  const token = tokens.current;
  let value: number;
  if (token.kind === 'integer') {
    // text_format.cc takes decimal integers only: hexadecimal and octal are refused for floats.
    if (!/^(?:0|[1-9]\d*)$/.test(token.text))
      fail(tokens, 'number', `"${name}" expects a decimal number, found ${show(token)}`);
    value = Number(token.text);
  } else if (token.kind === 'float') value = Number(token.text.replace(/[fF]$/, ''));
  else if (token.kind === 'identifier' && /^inf(?:inity)?$/i.test(token.text))
    value = Number.POSITIVE_INFINITY;
  else if (token.kind === 'identifier' && /^nan$/i.test(token.text)) value = Number.NaN;
  else fail(tokens, 'type', `"${name}" expects a number, found ${show(token)}${templateHint(token)}`);
  tokens.next();
  const result = negative ? -value : value;
  return type === 'float' ? Math.fround(result) : result;
}

/**
 * A word such as cls3x in MobileNet-SSD's template, which its gen_model.sh replaces by three times the number of
 * classes, or $ADAPTED_WIDTH in FlowNet 2's, which its run-flownet.py replaces.
 */
function templateHint({ kind, text }: Token): string {
  if (kind === 'placeholder')
    return `; the file is a template: first make a net from it, with the script beside it or by writing a value for ${text}`;
  return kind === 'identifier' && /\d/.test(text)
    ? '; if the file is a template, first make a net from it, with the script beside it (gen_model.sh) or by writing numbers for such words'
    : '';
}
