/** Prototxt files: their text, and errors for files of another kind. */
import { readFileSync } from 'node:fs';
import { ArgumentError, formatPosition, PrototxtError } from '../base/errors.ts';
import { checkFileSize, MAX_PROTOTXT_BYTES, readCause, statsOf } from '../base/files.ts';
import { warn } from '../base/warn.ts';
import { ownersOf } from './fork-fields.ts';
import { type Message, refuseLater } from './message.ts';
import { parseMessage } from './prototxt.ts';
import type { ForkField, ForkFieldHandler } from './prototxt-source.ts';
import { type NeededKind, wrongKind, wrongKindAt } from './wrong-kind.ts';

type Needed = Extract<NeededKind, 'net' | 'solver' | 'net or solver'>;

/**
 * The text at a path.
 * @param argument The name for errors.
 * @throws ArgumentError if it cannot be read; PrototxtError `prototxt/wrong-kind` if it is not text
 */
export function readPrototxtFile(file: string, needed: Needed, argument: string): string {
  // If the file has weights instead of a net, the error names this kind, not the file's size.
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
 * Parses a net or a solver. The error for another kind of file names the kind.
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

/** The error for a text of another kind than the needed one; null if it may be of that kind. */
export function wrongPrototxt(text: string, needed: Needed, file: string): PrototxtError | null {
  const wrong = wrongKind(Buffer.from(text.slice(0, 1 << 16)), needed);
  return wrong === null ? null : wrongKindError(file, wrong);
}

/** @internal */
export const wrongKindError = (file: string, wrong: string) =>
  new PrototxtError('prototxt/wrong-kind', { file, line: 1, column: 1 }, wrong);

/**
 * Like `parseMessage`, for the text of a fork of Caffe as far as it has the same meaning in BVLC's. Fields that tune are
 * ignored with a warning. Fields that change a layer are refused when that layer is built, where a foreign layer type is
 * reported first. All other fields are refused at once.
 * @throws PrototxtError
 */
function parseWithForks(type: string, text: string, { file }: { file: string }): Message {
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

/** The warning about tuning fields and values: each once, with the position of the first. */
function ignoredText(fields: readonly ForkField[]): string {
  const names = [...new Set(fields.map(({ name }) => name))];
  const owners = [...new Set(fields.map(({ type, name }) => ownersOf(type, name)))];
  const place = formatPosition(fields[0]!.refusal.position);
  return `${place}: ignored, because it only tunes speed, memory, number format, logging or how work is divided: ${names.join(', ')} (of ${owners.join(', ')})`;
}
