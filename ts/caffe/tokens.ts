/** Tokens of protobuf's text format (google/protobuf/io/tokenizer.h), each with its position. */

import { type Position, PrototxtError } from '../base/errors.ts';
import { MAX_PROTOTXT_BYTES, MAX_PROTOTXT_TOKENS, MAX_WORD } from '../base/files.ts';

export interface Token {
  readonly kind: 'identifier' | 'integer' | 'float' | 'string' | 'symbol' | 'placeholder' | 'end';
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

const SPACE = /(?:[ \t\r\v\f]+|#[^\n]*)/y;
const PATTERNS: readonly (readonly [Token['kind'], RegExp])[] = [
  ['identifier', /[A-Za-z_][A-Za-z0-9_]*/y],
  ['float', /(?:\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fF]?|\d+[fF]/y],
  ['integer', /0[xX][0-9a-fA-F]+|\d+/y],
  // No token of the text format: what a template leaves for a script to replace.
  ['placeholder', /\$(?:\w+|\{\w+\}|\(\w+\))|\{\{[^{}\n]*\}\}|%(?:\(\w+\))?[a-z]|@\w+@/y],
];

/** Reads tokens one at a time; `current` is the one not yet consumed. Throws PrototxtError. */
export class Tokens {
  current: Token;
  readonly file: string;
  readonly #text: string;
  #offset = 0;
  #line = 1;
  #lineStart = 0;
  #count = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.file = file;
    if (text.charCodeAt(0) === 0xfeff) {
      throw new PrototxtError(
        'prototxt/byte-order-mark',
        { file, line: 1, column: 1 },
        'the file begins with a byte-order mark, which Caffe refuses; save it as UTF-8 without BOM',
      );
    }
    if (text.length > MAX_PROTOTXT_BYTES)
      throw new PrototxtError(
        'prototxt/limit',
        { file, line: 1, column: 1 },
        `the text has ${text.length} characters; at most ${MAX_PROTOTXT_BYTES} are read`,
      );
    this.current = this.#read();
  }

  /** The position of a token (by default the current one). */
  position(token: Token = this.current): Position {
    return { file: this.file, line: token.line, column: token.column };
  }

  /** Consumes the current token and returns it. */
  next(): Token {
    const token = this.current;
    this.current = this.#read();
    return token;
  }

  /** Consumes the current token if it is this symbol. */
  take(symbol: string): boolean {
    if (this.current.kind !== 'symbol' || this.current.text !== symbol) return false;
    this.next();
    return true;
  }

  #read(): Token {
    const text = this.#text;
    for (;;) {
      if (text[this.#offset] === '\n') {
        this.#lineStart = ++this.#offset;
        this.#line++;
        continue;
      }
      SPACE.lastIndex = this.#offset;
      if (!SPACE.test(text)) break;
      this.#offset = SPACE.lastIndex;
    }
    const start = this.#offset;
    if (start >= text.length) return this.#token('end', start, start);
    const first = text[start]!;
    if (first === '"' || first === "'") return this.#token('string', start, this.#endOfString(start, first));
    for (const [kind, pattern] of PATTERNS) {
      pattern.lastIndex = start;
      if (!pattern.test(text)) continue;
      const end = pattern.lastIndex;
      if ((kind === 'integer' || kind === 'float') && /[A-Za-z_]/.test(text[end] ?? '')) {
        throw new PrototxtError(
          'prototxt/number',
          { file: this.file, line: this.#line, column: end - this.#lineStart + 1 },
          `expected a space between the number ${text.slice(start, end).slice(0, 40)} and "${text[end]}"`,
        );
      }
      return this.#token(kind, start, end);
    }
    const code = first.charCodeAt(0);
    if (code < 0x20 || code >= 0x7f) {
      throw new PrototxtError(
        'prototxt/character',
        { file: this.file, line: this.#line, column: start - this.#lineStart + 1 },
        `unexpected character U+${text.codePointAt(start)!.toString(16).toUpperCase().padStart(4, '0')} outside a string`,
      );
    }
    return this.#token('symbol', start, start + 1);
  }

  #token(kind: Token['kind'], start: number, end: number): Token {
    this.#offset = end;
    const position = { file: this.file, line: this.#line, column: start - this.#lineStart + 1 };
    if (++this.#count > MAX_PROTOTXT_TOKENS)
      throw new PrototxtError(
        'prototxt/limit',
        position,
        `the text has more than ${MAX_PROTOTXT_TOKENS} tokens`,
      );
    if (kind !== 'string' && end - start > MAX_WORD)
      throw new PrototxtError(
        'prototxt/limit',
        position,
        `a name or number of ${end - start} characters; at most ${MAX_WORD} are read`,
      );
    return {
      kind,
      text: this.#text.slice(start, end),
      line: this.#line,
      column: start - this.#lineStart + 1,
    };
  }

  #endOfString(start: number, quote: string): number {
    const text = this.#text;
    for (let i = start + 1; i < text.length; i++) {
      const character = text[i];
      if (character === quote) return i + 1;
      if (character === '\n') break;
      if (character === '\0')
        throw new PrototxtError(
          'prototxt/nul',
          { file: this.file, line: this.#line, column: i - this.#lineStart + 1 },
          'this string has a NUL byte, which protobuf takes for the end of the file; remove it, or write "\\0"',
        );
      if (character === '\\') i++;
    }
    throw new PrototxtError(
      'prototxt/unterminated-string',
      { file: this.file, line: this.#line, column: start - this.#lineStart + 1 },
      `this string has no closing ${quote} on its line`,
    );
  }
}

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  '?': 63,
  "'": 39,
  '"': 34,
};

/** The bytes of a string token, with escapes resolved. Throws PrototxtError at a wrong escape. */
export function unescapeString(token: Token, file: string): Uint8Array {
  const body = token.text.slice(1, -1);
  if (!body.includes('\\')) return new TextEncoder().encode(body);
  // No escape sequence is shorter than its bytes.
  const bytes = Buffer.alloc(Buffer.byteLength(body));
  let length = 0;
  const pattern = /[^\\]+|\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gsu;
  let end = 0;
  for (let match = pattern.exec(body); match !== null; match = pattern.exec(body)) {
    const [text, hex, octal, unicode, longUnicode, simple] = match;
    const point = unicode ?? longUnicode;
    const code =
      hex !== undefined
        ? Number.parseInt(hex, 16)
        : octal !== undefined
          ? Number.parseInt(octal, 8)
          : simple !== undefined
            ? (SIMPLE_ESCAPES[simple] ?? -1)
            : 0;
    if (code < 0 || code > 255 || (point !== undefined && Number.parseInt(point, 16) > 0x10ffff)) {
      throw new PrototxtError(
        'prototxt/escape',
        { file, line: token.line, column: token.column + 1 + match.index },
        `"${text}" is not an escape sequence; write a backslash as "\\\\"`,
      );
    }
    if (point === undefined && text[0] === '\\') bytes[length++] = code;
    else {
      const plain = point === undefined ? text : String.fromCodePoint(Number.parseInt(point, 16));
      length += bytes.write(plain, length);
    }
    end = pattern.lastIndex;
  }
  if (end !== body.length) {
    throw new PrototxtError(
      'prototxt/escape',
      { file, line: token.line, column: token.column + 1 + end },
      'a backslash ends this string; write it as "\\\\"',
    );
  }
  return bytes.subarray(0, length);
}
