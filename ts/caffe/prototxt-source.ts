/** The tokens of a prototxt while it is parsed, the fields of forks among them, and the errors at a token. */
import type { CodeOf } from '../base/error-codes.ts';
import { PrototxtError } from '../base/errors.ts';
import { MAX_PROTOTXT_MESSAGES } from '../base/files.ts';
import type { Message } from './message.ts';
import { type Token, Tokens } from './tokens.ts';

/** A field, or an enum value, of a fork of Caffe. */
export interface ForkField {
  /** BVLC's error for it. */
  readonly refusal: PrototxtError;
  /** The message (or enum) of caffe.proto that it extends. */
  readonly type: string;
  /** The field, or the enum value. */
  readonly name: string;
  /** A net has the same meaning without it. */
  readonly tunes: boolean;
  /** The layer (V2 or V1) that contains it; null: none. */
  readonly layer: Message | null;
}

export type ForkFieldHandler = (field: ForkField) => void;

/** The tokens, and the handling of forks' fields. */
export class Source extends Tokens {
  readonly onForkField: ForkFieldHandler | undefined;
  #messages = 0;
  /** The layer that is being read. */
  layer: Message | null = null;
  /** Unknown fields of this layer, which are kept until its type shows whether a fork defines it. */
  unknownFields: { readonly name: string; readonly refusal: PrototxtError }[] = [];

  constructor(text: string, file: string, onForkField: ForkFieldHandler | undefined) {
    super(text, file);
    this.onForkField = onForkField;
  }

  countMessage(): void {
    if (++this.#messages > MAX_PROTOTXT_MESSAGES)
      throw new PrototxtError(
        'prototxt/limit',
        this.position(),
        `the text has more than ${MAX_PROTOTXT_MESSAGES} messages ({ })`,
      );
  }
}

/** @throws PrototxtError at a token, by default the current one */
export function fail(
  tokens: Tokens,
  code: CodeOf<'prototxt'>,
  text: string,
  token: Token = tokens.current,
): never {
  throw new PrototxtError(`prototxt/${code}`, tokens.position(token), text);
}

/** A token, as an error shows it. */
export function show(token: Token): string {
  return token.kind === 'end'
    ? 'the end of the file'
    : token.kind === 'string'
      ? `the string ${shorten(token.text)}`
      : `"${shorten(token.text)}"`;
}

/** At most 60 characters of a text. */
export function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
