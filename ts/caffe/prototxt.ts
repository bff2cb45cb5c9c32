/** protobuf's text format → message, against the schema of caffe.proto. */

import { PrototxtError } from '../base/errors.ts';
import { nearest } from '../base/suggest.ts';
import { forkOfField, isTuningField } from './fork-fields.ts';
import { listedFields } from './fork-schema.ts';
import { explainLayerField, explainV1Param, explainV2Type } from './layer-forms.ts';
import { type Message, recordField, recordMessage } from './message.ts';
import { parseScalar } from './prototxt-scalars.ts';
import { type ForkFieldHandler, fail, Source, shorten, show } from './prototxt-source.ts';
import { type FieldDefinition, messages } from './schema.ts';
import type { Token, Tokens } from './tokens.ts';

const MAX_DEPTH = 100;
const LAYERS: ReadonlySet<string> = new Set(['LayerParameter', 'V1LayerParameter']);

/**
 * Parses one message of the text format, as Caffe's protobuf does: a singular field given twice, an unknown field or
 * enum value, and a number out of range are errors.
 * @param type The message's name in caffe.proto, e.g. `NetParameter`.
 * @param options.file The name for errors.
 * @param options.onForkField If it is given, it receives the fields and enum values of known forks, which the message
 * then lacks, for tools that show a net which Caffe would refuse. Default: they are errors.
 * @returns Plain objects; 64-bit integers are numbers if exact, else bigints; floats are rounded to float32.
 * @throws PrototxtError at the exact token.
 */
export function parseMessage(
  type: string,
  text: string,
  options: { file: string; onForkField?: ForkFieldHandler },
): Message {
  const tokens = new Source(text, options.file, options.onForkField);
  const message: Message = {};
  recordMessage(message, { file: options.file, line: 1, column: 1 });
  parseFields(tokens, type, message, null, 0);
  return message;
}

function parseFields(
  tokens: Source,
  type: string,
  message: Message,
  close: string | null,
  depth: number,
): void {
  tokens.countMessage();
  if (depth > MAX_DEPTH) fail(tokens, 'too-deep', `messages are nested more than ${MAX_DEPTH} deep`);
  const fields = messages[type]!;
  if (LAYERS.has(type)) tokens.layer = message;
  for (;;) {
    if (close === null && tokens.current.kind === 'end') return;
    if (close !== null && tokens.take(close)) return;
    const name = tokens.current;
    if (name.kind !== 'identifier') {
      const closing = close === null ? '' : ` or "${close}" to close this ${type}`;
      fail(tokens, 'syntax', `expected a field of ${type}${closing}, found ${show(name)}`);
    }
    const field = Object.hasOwn(fields, name.text) ? fields[name.text] : undefined;
    if (field === undefined) {
      refuseField(tokens, type, name);
      tokens.next();
      skipValue(tokens);
    } else {
      tokens.next();
      parseField(tokens, type, message, name, field, depth);
    }
    if (!tokens.take(';')) tokens.take(',');
  }
}

/**
 * The messages that control how a data layer reads its data. They have no meaning if the shapes of its tops are given.
 */
const DATA_MESSAGES = new Set([
  'DataParameter',
  'HDF5DataParameter',
  'ImageDataParameter',
  'MemoryDataParameter',
  'WindowDataParameter',
]);

/**
 * The messages that control what a data layer does with its data. They have no meaning then either, but a field that is
 * like one of Caffe's is a slip.
 */
const TRANSFORM_MESSAGES = new Set([
  'AnnotatedDataParameter',
  'BatchSampler',
  'DistortionParameter',
  'ExpansionParameter',
  'NoiseParameter',
  'ResizeParameter',
  'Sampler',
  'TransformationParameter',
]);

/** The data layers whose fields are Caffe's or SSD's. Other layers without bottoms belong to a fork or a user. */
const DATA_TYPES = new Set([
  'AnnotatedData',
  'Data',
  'DummyData',
  'HDF5Data',
  'ImageData',
  'ImageSegData',
  'Input',
  'MemoryData',
  'Parameter',
  'WindowData',
]);

/** Throws, unless the field is handled: a known fork's, or one of a data layer. */
function refuseField(tokens: Source, type: string, name: Token): void {
  const found = `${type} has no field "${shorten(name.text)}"`;
  const fork = forkOfField(type, name.text);
  if (fork !== undefined && tokens.onForkField !== undefined) {
    const refusal = new PrototxtError('prototxt/fork-field', tokens.position(name), `${found}: ${fork}`);
    const { layer } = tokens;
    tokens.onForkField({ refusal, type, name: name.text, tunes: isTuningField(type, name.text), layer });
    return;
  }
  if (fork !== undefined) fail(tokens, 'fork-field', `${found}: ${fork}`, name);
  const slip = explainLayerField(type, name.text);
  if (slip !== undefined) fail(tokens, 'layer-form', `${found}: ${slip}`, name);
  const near = nearestField(type, name.text);
  const { layer } = tokens;
  const hint = near === undefined ? placeOf(type, name.text, layer) : `did you mean "${near}"?`;
  const text = hint === undefined ? found : `${found}; ${hint}`;
  if (LAYERS.has(type) && layer !== null && tokens.onForkField !== undefined) {
    const refusal = new PrototxtError('prototxt/unknown-field', tokens.position(name), text);
    tokens.unknownFields.push({ name: name.text, refusal });
    return;
  }
  const isOfData = DATA_MESSAGES.has(type) || (TRANSFORM_MESSAGES.has(type) && near === undefined);
  if (!isOfData || layer === null || tokens.onForkField === undefined)
    fail(tokens, 'unknown-field', text, name);
  const given = `${text}${near === undefined ? '; w' : ' W'}hen its shapes are given (--input-shape), nothing is read and the layer's tops are inputs`;
  const refusal = new PrototxtError('prototxt/unknown-field', tokens.position(name), given);
  tokens.onForkField({ refusal, type, name: name.text, tunes: false, layer });
}

const MOST_LISTED = 8;

/**
 * Where a field belongs whose name is like none of its message: in a parameter message of the layer. For other messages
 * their fields, if they are few.
 */
function placeOf(type: string, name: string, layer: Message | null): string | undefined {
  const fields = Object.entries(messages[type]!);
  if (type !== 'LayerParameter') {
    const names = fields.map(([field]) => field);
    return names.length > MOST_LISTED ? undefined : `its fields are ${names.join(', ')}`;
  }
  const params = fields.flatMap(([field, [, kind]]) =>
    Object.hasOwn(messages[kind.replace('message:', '')] ?? {}, name) ? [field] : [],
  );
  const own = params.find((field) => bareName(field) === bareName(String(layer?.type ?? '')));
  const listed = own === undefined ? params.slice(0, MOST_LISTED) : [own];
  return listed.length === 0 ? undefined : `it is a field of ${listed.join(', ')}`;
}

/** The field that a misspelt one may mean. The ending that all names of parameters share does not count. */
function nearestField(type: string, name: string): string | undefined {
  const fields = Object.keys(messages[type]!);
  const ending = '_param';
  if (!name.endsWith(ending)) return nearest(name, fields);
  const params = fields
    .filter((field) => field.endsWith(ending))
    .map((field) => field.slice(0, -ending.length));
  const near = nearest(name.slice(0, -ending.length), params);
  return near === undefined ? undefined : `${near}${ending}`;
}

/** A name without the parts in which a layer's type and its parameter field differ: ROIWarping, roi_warping_param. */
const bareName = (name: string) =>
  name
    .replace(/_param$/, '')
    .replaceAll('_', '')
    .toLowerCase();

/**
 * Throws for an unknown field of a layer, at its position, except in three cases: it is named like the layer's type or
 * the beginning of the type (mmd_param of MMDLoss), it is unlike every field of a layer, or the layer is a fork's that only
 * reads data. It then belongs to a user's own layer, whose type says more, and building the layer refuses it if its tops
 * have no shapes.
 */
function settleUnknownFields(tokens: Source): void {
  const { layer, unknownFields } = tokens;
  tokens.unknownFields = [];
  for (const { name, refusal } of unknownFields) {
    const { type, bottom = [] } = layer as { type?: string; bottom?: readonly string[] };
    const isOwnData = bottom.length === 0 && !isDataType(type ?? '');
    const isOwn = isOwnData || isNamedLike(name, type ?? '');
    const isNear = nearestField('LayerParameter', name) !== undefined;
    if (type === undefined || (!isOwn && isNear)) throw refusal;
    tokens.onForkField!({ refusal, type: 'LayerParameter', name, tunes: false, layer });
  }
}

function isNamedLike(field: string, type: string): boolean {
  const [own, whole] = [bareName(field), bareName(type)];
  return own !== '' && whole.startsWith(own);
}

/** Whether a type of layer, by its name in V2 or in V1, is one of BVLC's that read data. */
const isDataType = (type: string): boolean =>
  DATA_TYPES.has(type) || [...DATA_TYPES].some((each) => each.toUpperCase() === type.replaceAll('_', ''));

/** Skips the value of an unknown field: a scalar, a message or a list. */
function skipValue(tokens: Tokens): void {
  tokens.take(':');
  const closers: string[] = [];
  do {
    const token = tokens.next();
    if (token.kind === 'end')
      fail(tokens, 'syntax', `expected "${closers.at(-1) ?? 'a value'}", found ${show(token)}`, token);
    if (token.kind === 'symbol') {
      const close = { '{': '}', '<': '>', '[': ']' }[token.text];
      if (close !== undefined) closers.push(close);
      else if (token.text === closers.at(-1)) closers.pop();
      else if (token.text === '-' && closers.length === 0) tokens.next();
    }
  } while (closers.length > 0);
  while (tokens.current.kind === 'string') tokens.next(); // "a" "b" is one string
}

function parseField(
  tokens: Source,
  type: string,
  message: Message,
  name: Token,
  field: FieldDefinition,
  depth: number,
): void {
  const repeated = field[1][0] === '*' || field[1][0] === '+';
  const valueType = repeated ? field[1].slice(1) : field[1];
  const isMessage = valueType.startsWith('message:');
  if (!repeated && Object.hasOwn(message, name.text)) {
    fail(tokens, 'duplicate-field', `"${name.text}" is given twice, but a ${type} has only one`, name);
  }
  if (!tokens.take(':') && !isMessage) {
    if (type === 'V1LayerParameter' && name.text === 'param') fail(tokens, 'layer-form', explainV1Param);
    fail(tokens, 'syntax', `expected ":" after "${name.text}", found ${show(tokens.current)}`);
  }
  const listed = listedFields[type]?.[name.text];
  if (listed !== undefined && tokens.current.text === '[') {
    if (Object.hasOwn(message, listed))
      fail(tokens, 'duplicate-field', `"${name.text}" is given twice`, name);
    const dim: unknown[] = [];
    parseList(tokens, name.text, dim, () => parseScalar(tokens, name.text, valueType));
    recordField(message, listed, tokens.position(name));
    message[listed] = { dim };
    return;
  }
  recordField(message, name.text, tokens.position(name));
  const value = () =>
    isMessage
      ? parseSubmessage(tokens, valueType.slice(8), depth)
      : type === 'LayerParameter' && name.text === 'type'
        ? parseLayerType(tokens)
        : parseScalar(tokens, name.text, valueType);
  if (!repeated) {
    const single = value();
    if (single !== undefined) message[name.text] = single;
    return;
  }
  message[name.text] ??= [];
  const list = message[name.text] as unknown[];
  if (tokens.current.text !== '[') {
    list.push(value());
    return;
  }
  parseList(tokens, name.text, list, value);
}

function parseList(tokens: Tokens, name: string, list: unknown[], value: () => unknown): void {
  tokens.take('[');
  if (tokens.take(']')) return;
  do list.push(value());
  while (tokens.take(','));
  if (!tokens.take(']'))
    fail(tokens, 'syntax', `expected "," or "]" in the list of "${name}", found ${show(tokens.current)}`);
}

function parseSubmessage(tokens: Source, type: string, depth: number): Message {
  const open = tokens.current;
  const close = tokens.take('{')
    ? '}'
    : tokens.take('<')
      ? '>'
      : fail(tokens, 'syntax', `expected "{" to open a ${type}, found ${show(open)}`);
  const message: Message = {};
  recordMessage(message, tokens.position(open));
  parseFields(tokens, type, message, close, depth + 1);
  if (LAYERS.has(type)) {
    settleUnknownFields(tokens);
    tokens.layer = null;
  }
  return message;
}

function parseLayerType(tokens: Source): unknown {
  const slip = tokens.current.kind === 'identifier' ? explainV2Type(tokens.current.text) : undefined;
  if (slip !== undefined) fail(tokens, 'layer-form', slip);
  return parseScalar(tokens, 'type', 'string');
}
