/**
 * Text of a fork of Caffe, read as far as it means the same in BVLC's: fields that tune are ignored with a warning, what
 * changes a layer is refused when that layer is built (a foreign layer type is then named first), all else at once.
 */

import { formatPosition } from '../base/errors.ts';
import { warn } from '../base/warn.ts';
import { ownersOf } from './fork-fields.ts';
import { type Message, refuseLater } from './message.ts';
import { type ForkField, parseMessage } from './prototxt.ts';

/** As `parseMessage`. @throws PrototxtError */
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
  return `${place}: ignored, for it only tunes speed, memory, number format, logging or how work is divided: ${names.join(', ')} (of ${owners.join(', ')})`;
}
