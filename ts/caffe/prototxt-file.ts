/** Prototxts as files: their text, and what to say of a file that is another than the one needed. */
import { readFileSync } from 'node:fs';
import { ArgumentError, formatPosition, PrototxtError } from '../base/errors.ts';
import { checkFileSize, MAX_PROTOTXT_BYTES, readCause, statsOf } from '../base/files.ts';
import { warn } from '../base/warn.ts';
import { ownersOf } from './fork-fields.ts';
import { type Message, refuseLater } from './message.ts';
import { type ForkField, type ForkFieldHandler, parseMessage } from './prototxt.ts';
import { type NeededKind, wrongKind, wrongKindAt } from './wrong-kind.ts';

type Needed = Extract<NeededKind, 'net' | 'solver' | 'net or solver'>;

/**
 * The text at a path.
 * @param argument Named in errors.
 * @throws ArgumentError where it cannot be read; PrototxtError `prototxt/wrong-kind` where it is no text
 */
export function readPrototxtFile(file: string, needed: Needed, argument: string): string {
  // Weights in the place of a net are told by what they are, not by their size.
  const isLarge = (statsOf(file)?.size ?? 0) > MAX_PROTOTXT_BYTES;
  const other = isLarge ? wrongKindAt(file, needed) : null;
  if (other !== null) throw wrongKindError(file, other);
  checkFileSize(file, MAX_PROTOTXT_BYTES, 'prototxts');
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const wrong = wrongKindAt(file, needed);
    if (wrong !== null) throw wrongKindError(file, wrong);
    const cause = readCause(error as NodeJS.ErrnoException);
    throw new ArgumentError(argument, 'the path of a readable prototxt', file, cause);
  }
  const wrong = wrongKind(bytes, needed);
  if (wrong !== null) throw wrongKindError(file, wrong);
  return bytes.toString('utf8');
}

/**
 * Parses a net or a solver; what is neither, or the other one, is named.
 * @throws PrototxtError
 */
export function parsePrototxt(
  needed: 'net' | 'solver',
  text: string,
  options: { file: string; onForkField?: ForkFieldHandler },
): Message {
  try {
    const parse = options.onForkField === undefined ? parseWithForks : parseMessage;
    return parse(needed === 'net' ? 'NetParameter' : 'SolverParameter', text, options);
  } catch (error) {
    if (!(error instanceof PrototxtError)) throw error;
    throw wrongPrototxt(text, needed, options.file) ?? error;
  }
}

/** The error for a text that is another file than the one needed; null where it may be it. */
export function wrongPrototxt(text: string, needed: Needed, file: string): PrototxtError | null {
  const wrong = wrongKind(Buffer.from(text.slice(0, 1 << 16)), needed);
  return wrong === null ? null : wrongKindError(file, wrong);
}

/** @internal */
export const wrongKindError = (file: string, wrong: string) =>
  new PrototxtError('prototxt/wrong-kind', { file, line: 1, column: 1 }, wrong);

/**
 * As `parseMessage`, for the text of a fork of Caffe as far as it means the same in BVLC's: fields that tune are ignored
 * with a warning, what changes a layer is refused when that layer is built (a foreign layer type is then named first), all
 * else at once.
 * @throws PrototxtError
 */
export function parseWithForks(type: string, text: string, { file }: { file: string }): Message {
  const ignored: ForkField[] = [];
  const message = parseMessage(type, text, {
    file,
    onForkField: (field) => {
      if (field.tunes) ignored.push(field);
      else if (field.layer === null) throw field.refusal;
      else refuseLater(field.layer, field.refusal);
    },
  });
  if (ignored.length > 0) warn('prototxt/ignored', ignoredText(ignored));
  return message;
}

/** What is said of fields and values that tune: each once, with where the first one stands. */
export function ignoredText(fields: readonly ForkField[]): string {
  const names = [...new Set(fields.map(({ name }) => name))];
  const owners = [...new Set(fields.map(({ type, name }) => ownersOf(type, name)))];
  const place = formatPosition(fields[0]!.refusal.position);
  return `${place}: ignored, because it only tunes speed, memory, number format, logging or how work is divided: ${names.join(', ')} (of ${owners.join(', ')})`;
}
