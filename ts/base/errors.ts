/**
 * The errors that resnode throws. Each has a stable `code`, so that a program can react without parsing the message, and a
 * message that says where, what was found, what was expected and what the cure is.
 */

import { describe } from './describe.ts';
import type { ErrorCode } from './error-codes.ts';

/** A position in a text file; line and column count from 1, and a column is a UTF-16 unit (a tab is one column). */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `file:line:column`, which editors and terminals make clickable. */
export function formatPosition(position: Position): string {
  if (!isPosition(position))
    throw new ArgumentError('position', 'a Position, { file, line, column }', position);
  return `${position.file}:${position.line}:${position.column}`;
}

function isPosition(value: unknown): value is Position {
  try {
    const { file, line, column } = value as Position;
    return typeof file === 'string' && typeof line === 'number' && typeof column === 'number';
  } catch {
    return false;
  }
}

/** The base class of all errors. `code` is `area/what`, e.g. `prototxt/unknown-field`. */
export class ResnodeError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A function received an invalid argument. */
export class ArgumentError extends ResnodeError {
  /** The name of the argument, with the position in it: `options.batch`. */
  readonly argument: string;
  /** The expected value in words. */
  readonly expected: string;
  readonly actual: unknown;
  readonly hint: string | undefined;

  /** @param hint A name that was probably meant, or a cure. */
  constructor(argument: string, expected: string, actual: unknown, hint?: string) {
    const end = hint === undefined ? '' : `; ${hint}`;
    super('argument/invalid', `${argument}: expected ${expected}, but received ${describe(actual)}${end}`);
    this.argument = argument;
    this.expected = expected;
    this.actual = actual;
    this.hint = hint;
  }
}

/** A prototxt (or a message read from one) is invalid; `position` is that of the faulty token. */
export class PrototxtError extends ResnodeError {
  readonly position: Position;

  constructor(code: ErrorCode, position: Position, message: string, options?: ErrorOptions) {
    super(code, `${formatPosition(position)}: ${message}`, options);
    this.position = position;
  }
}

/** A net cannot be built, or a pass or a device does not support one of its layers. */
export class GraphError extends ResnodeError {
  readonly layer: string | undefined;
  readonly type: string | undefined;
  readonly position: Position | undefined;

  constructor(
    code: ErrorCode,
    at: { layer?: string; type?: string; position?: Position },
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, `${describeLayer(at)}${message}`, options);
    this.layer = at.layer;
    this.type = at.type;
    this.position = at.position;
  }
}

/** A weights file (.caffemodel, .binaryproto, .npy, .h5) cannot be read, written or matched with a net. */
export class WeightsError extends ResnodeError {
  readonly file: string | undefined;
  readonly layer: string | undefined;

  constructor(
    code: ErrorCode,
    at: { file?: string; layer?: string },
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, at.file === undefined ? message : `${at.file}: ${message}`, options);
    this.file = at.file;
    this.layer = at.layer;
  }
}

/** An image file cannot be decoded or does not fit the requested preprocessing. */
export class ImageError extends ResnodeError {
  readonly file: string | undefined;

  constructor(code: ErrorCode, file: string | undefined, message: string, options?: ErrorOptions) {
    super(code, file === undefined ? message : `${file}: ${message}`, options);
    this.file = file;
  }
}

/** A data set, or the source of a data layer, is missing, damaged or does not fit its net. */
export class DataError extends ResnodeError {
  readonly file: string | undefined;
  readonly layer: string | undefined;

  constructor(
    code: ErrorCode,
    at: { file?: string; layer?: string; type?: string; position?: Position },
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, `${describeLayer(at)}${at.file === undefined ? '' : `${at.file}: `}${message}`, options);
    this.file = at.file;
    this.layer = at.layer;
  }
}

/** A device cannot be opened, or it failed. */
export class DeviceError extends ResnodeError {
  readonly device: string;

  constructor(code: ErrorCode, device: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.device = device;
  }
}

/** A classifier refuses an image, or its result is invalid. */
export class ClassifierError extends ResnodeError {}

/** A detector refuses an image, or its result is invalid. */
export class DetectorError extends ResnodeError {}

/** A segmenter refuses an image, or its result is invalid. */
export class SegmenterError extends ResnodeError {}

function describeLayer(at: { layer?: string; type?: string; position?: Position }): string {
  const name =
    at.layer === undefined ? '' : `layer "${at.layer}"${at.type === undefined ? '' : ` (${at.type})`}`;
  const place = at.position === undefined ? '' : `${name === '' ? '' : ' at '}${formatPosition(at.position)}`;
  return name === '' && place === '' ? '' : `${name}${place}: `;
}
