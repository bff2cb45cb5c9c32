/**
 * Every error that resnode throws. Each carries a stable `code`, so that a program can react without
 * reading the message, and a message that says where, what was found, what was expected and what mends it.
 */

import type { ErrorCode } from './error-codes.ts';

/** A place in a text file; line and column count from 1, a column is a UTF-16 unit (a tab is one column). */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `file:line:column`, the form that editors and terminals make clickable. */
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

/** The base of all errors here. `code` is `area/what`, e.g. `prototxt/unknown-field`. */
export class ResnodeError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** An argument of a public function is not what the function takes. */
export class ArgumentError extends ResnodeError {
  /** Its name, with the place in it: `options.batch`. */
  readonly argument: string;
  /** In words. */
  readonly expected: string;
  readonly actual: unknown;
  readonly hint: string | undefined;

  /** @param hint A name that was probably meant, or what mends it. */
  constructor(argument: string, expected: string, actual: unknown, hint?: string) {
    const end = hint === undefined ? '' : `; ${hint}`;
    super('argument/invalid', `${argument}: expected ${expected}, but received ${describe(actual)}${end}`);
    this.argument = argument;
    this.expected = expected;
    this.actual = actual;
    this.hint = hint;
  }
}

/** A prototxt (or a message read from one) is not valid; `position` is the offending token. */
export class PrototxtError extends ResnodeError {
  readonly position: Position;

  constructor(code: ErrorCode, position: Position, message: string, options?: ErrorOptions) {
    super(code, `${formatPosition(position)}: ${message}`, options);
    this.position = position;
  }
}

/** A net cannot be built, or a pass or a device cannot take one of its layers. */
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

/** An image file cannot be decoded or does not fit the preprocessing asked for. */
export class ImageError extends ResnodeError {
  readonly file: string | undefined;

  constructor(code: ErrorCode, file: string | undefined, message: string, options?: ErrorOptions) {
    super(code, file === undefined ? message : `${file}: ${message}`, options);
    this.file = file;
  }
}

/** A data set, or what a data layer reads, is missing, damaged or does not fit its net. */
export class DataError extends ResnodeError {
  readonly file: string | undefined;
  readonly layer: string | undefined;

  constructor(
    code: ErrorCode,
    at: { file?: string; layer?: string },
    message: string,
    options?: ErrorOptions,
  ) {
    const place = [
      at.layer === undefined ? [] : [`layer "${at.layer}"`],
      at.file === undefined ? [] : [at.file],
    ];
    super(code, [...place.flat(), message].join(': '), options);
    this.file = at.file;
    this.layer = at.layer;
  }
}

/** A device cannot be opened, or failed while it worked. */
export class DeviceError extends ResnodeError {
  readonly device: string;

  constructor(code: ErrorCode, device: string, message: string, options?: ErrorOptions) {
    super(code, message, options);
    this.device = device;
  }
}

/** A classifier refuses an image, or its answer is no answer. */
export class ClassifierError extends ResnodeError {}

/** A detector refuses an image, or its answer is no answer. */
export class DetectorError extends ResnodeError {}

/** A segmenter refuses an image, or its answer is no answer. */
export class SegmenterError extends ResnodeError {}

function describeLayer(at: { layer?: string; type?: string; position?: Position }): string {
  const name =
    at.layer === undefined ? '' : `layer "${at.layer}"${at.type === undefined ? '' : ` (${at.type})`}`;
  const place = at.position === undefined ? '' : `${name === '' ? '' : ' at '}${formatPosition(at.position)}`;
  return name === '' && place === '' ? '' : `${name}${place}: `;
}

/** As the value of an argument that was not given: an ArgumentError then ends `but received nothing`. @internal */
export const NOTHING = Symbol('nothing');

const MOST_CHARACTERS = 200;

/** A value in few words; of whatever kind it is, and even where it cannot be read (a Proxy, a getter that throws). */
function describe(value: unknown, depth = 0): string {
  try {
    if (typeof value === 'string') {
      const cut = value.length > MOST_CHARACTERS ? `${value.slice(0, MOST_CHARACTERS)}…` : value;
      return JSON.stringify(cut);
    }
    if (value === NOTHING) return 'nothing';
    if (typeof value === 'bigint') return `${value}n`;
    if (typeof value === 'function') return 'a function';
    if (ArrayBuffer.isView(value))
      return `${value.constructor.name}(${(value as Uint8Array).length ?? value.byteLength})`;
    if (Array.isArray(value)) {
      if (depth > 1) return '[…]';
      const items = value.slice(0, 8).map((item) => describe(item, depth + 1));
      return `[${items.join(', ')}${value.length > 8 ? ', …' : ''}]`;
    }
    if (typeof value === 'object' && value !== null)
      return `an object (${value.constructor?.name ?? 'no prototype'})`;
    return String(value);
  } catch {
    return 'an object that cannot be read';
  }
}
