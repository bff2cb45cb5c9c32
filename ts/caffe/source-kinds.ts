/** Nets and weights as arguments: as files, or as what was read. */
import { either, isObject, type Kind } from '../base/kinds.ts';
import { type FileSource, fileSource } from '../base/sources.ts';
import { type WeightsFile, weightsFile } from './caffemodel.ts';
import { type NetParameter, netParameter } from './net-parameter.ts';

const looksLikePrototxt = (value: unknown) =>
  typeof value === 'string' && /[\n{]|^\s*(?:name|layers?|input)\s*:/.test(value);

const TEXT_HINT =
  'this is the text of a prototxt: give Buffer.from(text), or readNet(text, { file }) with a name for errors';

/** A prototxt as a file, or a net that was read. */
export const netSource: Kind<FileSource | NetParameter> = sourceOr(
  netParameter,
  looksLikePrototxt,
  TEXT_HINT,
);

/** Weights as a file, or ones that were read. */
export const weightsSource: Kind<FileSource | WeightsFile> = sourceOr(weightsFile, () => false, '');

function sourceOr<T>(read: Kind<T>, isText: (value: unknown) => boolean, hint: string): Kind<FileSource | T> {
  const { expected } = either(fileSource, read);
  return {
    expected,
    mistake(value) {
      if (isText(value)) return { path: '', expected, actual: value, hint };
      const isFile =
        !isObject(value) || value instanceof URL || ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
      const mistake = (isFile ? fileSource : read).mistake(value);
      return mistake?.path === '' && !mistake.expected.startsWith('the fields')
        ? { ...mistake, expected }
        : mistake;
    },
  };
}
