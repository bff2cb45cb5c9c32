/** NetParameter: reading, Caffe's include/exclude rules, defaults. Fields carry caffe.proto's own names. */

import { formatPosition, PrototxtError } from '../base/errors.ts';
import { callback, integer, type Kind, list, oneOf, path, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { type FileSource, isFileSource, resolveSource } from '../base/sources.ts';
import { warn } from '../base/warn.ts';
import { decodeMessage } from './binary-message.ts';
import { fileKind } from './file-kind.ts';
import { inheritPosition, type Message, positionOf } from './message.ts';
import { message } from './message-kind.ts';
import { parsePrototxt, readPrototxtFile, wrongKindError } from './prototxt-file.ts';
import type { ForkFieldHandler } from './prototxt-source.ts';
import { messages } from './schema.ts';
import { upgradeNet } from './upgrade.ts';
import { wrongKind } from './wrong-kind.ts';

export { positionOf } from './message.ts';

/** One layer. Every `*_param` is a message. */
export interface LayerParameter {
  name?: string;
  type?: string;
  bottom?: string[];
  top?: string[];
  phase?: 'TRAIN' | 'TEST';
  loss_weight?: number[];
  propagate_down?: boolean[];
  param?: { name?: string; share_mode?: 'STRICT' | 'PERMISSIVE'; lr_mult?: number; decay_mult?: number }[];
  include?: NetStateRule[];
  exclude?: NetStateRule[];
  [parameter: `${string}_param`]: Message | undefined;
}

export interface NetStateRule {
  phase?: 'TRAIN' | 'TEST';
  min_level?: number;
  max_level?: number;
  stage?: string[];
  not_stage?: string[];
}

/** A net in today's form (V2). */
export interface NetParameter {
  name?: string;
  state?: { phase?: 'TRAIN' | 'TEST'; level?: number; stage?: string[] };
  force_backward?: boolean;
  layer?: LayerParameter[];
}

const READ_NET = signature('readNet', {
  text: required(string, 'The text of the prototxt.'),
  options: required(
    options<{ file: string; onForkField?: ForkFieldHandler }>({
      file: required(string, 'The name of the file in errors.'),
      onForkField: optional(
        callback<ForkFieldHandler>(),
        'fields of forks are errors',
        'Called for each field that a known fork of Caffe added; the field is then ignored.',
      ),
    }),
    'The name of the text, and what to do with fields of forks.',
  ),
});

/**
 * Reads a prototxt and upgrades it as Caffe does, from any version (V0, V1, `input_dim`). Extensions of known forks of Caffe
 * are treated by their effect. Fields that only tune are ignored with a warning. Fields that change a layer are refused when
 * that layer is built or printed or its data is read. All others are refused here.
 * @param options.file The name for errors.
 * @param options.onForkField If it is given, it receives the extensions of known forks, which the net then lacks.
 * @throws PrototxtError with file:line:column.
 * @example const net = readNet(text, { file: 'net.prototxt' });
 */
export function readNet(
  text: string,
  options: { file: string; onForkField?: ForkFieldHandler },
): NetParameter {
  READ_NET.check(text, options);
  return upgradeNet(parsePrototxt('net', text, options)) as NetParameter;
}

const READ_NET_FILE = signature('readNetFile', {
  file: required(path, 'The path of a prototxt.'),
  options: optional(
    options<{ onForkField?: ForkFieldHandler }>({
      onForkField: optional(
        callback<ForkFieldHandler>(),
        'fields of forks are errors',
        'Called for each field that a known fork of Caffe added; the field is then ignored.',
      ),
    }),
    'none',
    'What to do with fields of forks.',
  ),
});

/**
 * Reads and upgrades the prototxt at a path.
 * @throws PrototxtError; ArgumentError if it cannot be read
 * @example const net = readNetFile('ResNet-50-deploy.prototxt');
 */
export function readNetFile(file: string, options: { onForkField?: ForkFieldHandler } = {}): NetParameter {
  READ_NET_FILE.check(file, options);
  return readNet(readPrototxtFile(file, 'net', 'model'), { file, ...options });
}

/**
 * A net by path, `file:` URL or bytes (text, or a binary NetParameter), or a parsed net.
 * @throws as readNetFile
 */
export function readNetSource(source: FileSource | NetParameter): NetParameter {
  if (!isFileSource(source)) return source;
  const content = resolveSource(source);
  if (typeof content === 'string') return readNetFile(content);
  const file = '<model>';
  const wrong = fileKind(content) === 'caffemodel' ? null : wrongKind(content, 'net');
  if (wrong !== null) throw wrongKindError(file, wrong);
  if (isText(content)) return readNet(Buffer.from(content).toString('utf8'), { file });
  return upgradeNet(decodeMessage('NetParameter', content, file)) as NetParameter;
}

/** Text has no control characters except white space. The tag of a layer has one within a few bytes. */
const isText = (bytes: Uint8Array) =>
  bytes.subarray(0, 4096).every((byte) => byte >= 32 || (byte >= 9 && byte <= 13));

export const netParameter: Kind<NetParameter> = message('NetParameter');
export const layerParameter: Kind<LayerParameter> = message('LayerParameter');

export interface NetState {
  /** Default: the net's own state, else TEST. */
  readonly phase?: 'TRAIN' | 'TEST';
  readonly level?: number;
  readonly stages?: readonly string[];
}

/** The key of a filtered net's removed layers. A property with a symbol is copied when the net is spread. */
const DROPPED = Symbol('dropped layers');

/** The layers that `filterNet` removed from a net. */
export const droppedLayers = (net: NetParameter): readonly LayerParameter[] =>
  (net as { [DROPPED]?: readonly LayerParameter[] })[DROPPED] ?? [];

/** Caffe's NetState as rows of a signature. */
const netStateRows = {
  phase: optional(oneOf('TRAIN', 'TEST'), "the net's own, else TEST", 'The phase that selects layers.'),
  level: optional(integer(), '0', "Caffe's NetState level."),
  stages: optional(list(string, { of: 'stage names' }), 'none', "Caffe's NetState stages."),
};

/** Caffe's NetState, as options. */
export const netState = options<NetState>(netStateRows);

const FILTER_NET = signature('filterNet', {
  net: required(netParameter, 'An upgraded net, as readNet returns it.'),
  options: optional(netState, 'its own state, else TEST', 'The NetState that decides which layers stay.'),
});

/**
 * Keeps the layers whose include/exclude rules fit a state (net.cpp, FilterNet). A given state takes precedence over the
 * net's own `state`, with a warning if their phases differ. The result has the state that was used.
 * @throws PrototxtError
 * @example const tested = filterNet(readNetFile('train_val.prototxt'), { phase: 'TEST' });
 */
export function filterNet(net: NetParameter, state: NetState = {}): NetParameter {
  FILTER_NET.check(net, state);
  const phase = state.phase ?? net.state?.phase ?? 'TEST';
  const level = state.level ?? net.state?.level ?? 0;
  const stages = new Set(state.stages ?? net.state?.stage ?? []);
  if (net.state?.phase !== undefined && net.state.phase !== phase) sayOverridden(net, phase);
  const meets = (rule: NetStateRule) =>
    (rule.phase === undefined || rule.phase === phase) &&
    (rule.min_level === undefined || level >= rule.min_level) &&
    (rule.max_level === undefined || level <= rule.max_level) &&
    (rule.stage ?? []).every((stage) => stages.has(stage)) &&
    !(rule.not_stage ?? []).some((stage) => stages.has(stage));
  const kept = (net.layer ?? []).filter((layer) => {
    const include = layer.include ?? [];
    const exclude = layer.exclude ?? [];
    if (include.length > 0 && exclude.length > 0) {
      throw new PrototxtError(
        'prototxt/include-exclude',
        positionOf(layer) ?? { file: '<message>', line: 1, column: 1 },
        `layer "${layer.name ?? ''}" has both include and exclude rules; keep one kind`,
      );
    }
    return include.length > 0 ? include.some(meets) : !exclude.some(meets);
  });
  const isKept = new Set(kept);
  const filtered = {
    ...net,
    layer: kept,
    ...(net.state === undefined && phase === 'TEST' && level === 0 && stages.size === 0
      ? {}
      : { state: { phase, level, stage: [...stages] } }),
    [DROPPED]: [...droppedLayers(net), ...(net.layer ?? []).filter((layer) => !isKept.has(layer))],
  };
  inheritPosition(filtered, net);
  return filtered;
}

function sayOverridden(net: NetParameter, phase: string): void {
  const position = positionOf(net.state, 'phase');
  const place = position === undefined ? '' : `${formatPosition(position)}: `;
  warn(
    'prototxt/state',
    `${place}the net's own state says phase ${net.state!.phase}; the requested ${phase} is used`,
  );
}

/**
 * A message with protobuf's default for every scalar field that was not written.
 * @param type The message's name in caffe.proto.
 */
export function withDefaults<T extends object>(type: string, message: object | undefined): T {
  const result: Message = {};
  for (const [field, [, , value]] of Object.entries(messages[type]!))
    if (value !== undefined) result[field] = value;
  Object.assign(result, message);
  if (message !== undefined) inheritPosition(result, message);
  return result as T;
}
