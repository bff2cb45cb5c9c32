/** The errors for layers of unsupported types, and for bottoms that no layer makes, with hints. */

import type { CodeOf } from '../base/error-codes.ts';
import { nearest, nearestFew } from '../base/suggest.ts';
import { forkOfLayerType } from '../caffe/fork-fields.ts';
import { explainV1Name } from '../caffe/layer-forms.ts';
import { refusalOf } from '../caffe/message.ts';
import { droppedLayers, type LayerParameter, type NetParameter } from '../caffe/net-parameter.ts';
import { DATA_TYPES, shapeCure } from './data.ts';
import { isLossType, layerRules, ruleOf, supportedLayerTypes } from './index.ts';
import { layerError } from './layer.ts';
import { isSink } from './sinks.ts';

const isKnownType = (layer: LayerParameter): boolean =>
  ruleOf(layer) !== undefined ||
  layer.type === 'Input' ||
  isSink(layer.type) ||
  (DATA_TYPES.includes(layer.type ?? '') && (layer.bottom ?? []).length === 0);

/**
 * Refuses a net that was read without a fork's fields before it is written without them: a foreign layer for its type, a
 * known one for the field.
 * @throws GraphError, PrototxtError
 */
export function refuseForeignLayers(layers: readonly LayerParameter[]): void {
  for (const layer of layers) {
    const refusal = refusalOf(layer);
    if (refusal === undefined) continue;
    if (!isKnownType(layer)) refuseType(layer);
    throw refusal;
  }
}

const OF_PYTHON =
  'it is code in a module of its own; give a JavaScript function for it (registerLayers, or --layers FILE), or replace it by layers; if it has no bottoms, its tops become inputs when their shapes are given (--input-shape)';

/** The error code and message for a layer type without a rule. */
export function explainLayerType(type: string): { code: CodeOf<'graph'>; text: string } {
  const cure = ownLayerCure(type);
  const fork = forkOfLayerType(type);
  if (fork !== undefined)
    return { code: 'fork-type', text: `layer type "${type}" is not in BVLC's Caffe: ${fork}; ${cure}` };
  if (type === 'Python')
    return {
      code: 'unsupported-type',
      text: `layer type "${type}" of BVLC's Caffe is not supported: ${OF_PYTHON}`,
    };
  const slip = explainV1Name(type);
  if (slip !== undefined) return { code: 'unknown-type', text: `layer type ${slip}` };
  const near = nearestFew(type, supportedLayerTypes).map((each) => `"${each}"`);
  const names = new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(near);
  const hint = near.length === 0 ? cure : `did you mean ${names}? Otherwise, ${cure}`;
  return { code: 'unknown-type', text: `layer type "${type}" is not supported; ${hint}` };
}

/** The hint for an unsupported layer: run the net without its losses, or replace a layer without weights by a function. */
function ownLayerCure(type: string): string {
  const deploy = isLossType(type)
    ? 'to run the net, use its deploy file, or let resnode print --deploy write it; '
    : '';
  return `${deploy}a layer without weights may be a function in JavaScript: write type: "Python" python_param { module: "${type}" layer: "${type}" } and register it (registerLayers, or --layers FILE)`;
}

function refuseType(layer: LayerParameter): never {
  const { bottom = [], top = [], type = '' } = layer;
  const { code, text } = explainLayerType(type);
  const cure =
    bottom.length > 0 || top.length === 0 || type === 'Python'
      ? ''
      : `; if it only reads data, its tops become inputs when their shapes are known: ${shapeCure(layer)}`;
  const all = `docs/layers.md lists the ${supportedLayerTypes.length} types that have a rule`;
  throw layerError(layer, code, `${text}${cure}; ${all}`, 'type');
}

/**
 * Refuses a layer that cannot be built: for its type, or for a field of a fork.
 * @param layers The whole net.
 * @throws GraphError, PrototxtError
 */
export function refuseUnknown(layer: LayerParameter, layers: readonly LayerParameter[]): void {
  const refusal = refusalOf(layer);
  // A fork's extensions of a layer matter only if all types are supported.
  const unknown =
    refusal === undefined
      ? layer
      : (layers.find((each) => (each.bottom ?? []).length > 0 && !isKnownType(each)) ?? layer);
  if (!isKnownType(unknown)) refuseType(unknown);
  if (refusal !== undefined) throw refusal;
}

/** The reason why no layer above makes a bottom with this name. */
export function unknownBottom(
  name: string,
  layer: LayerParameter,
  net: NetParameter,
  blobs: Iterable<string>,
): string {
  const found = `bottom "${name}" is not the top of a layer above`;
  const elsewhere = droppedLayers(net).filter(({ top = [] }) => top.includes(name));
  if (elsewhere.length > 0)
    return `${found} in this state; the net has ${[...new Set(elsewhere.map(describeState))].join(', and ')}`;
  if (layerRules[layer.type ?? '']?.isLoss || layer.type === 'Accuracy')
    return `${found}: without labels this is a deploy net, which needs no ${layer.type}; remove the layer, or let resnode print --deploy do it`;
  const near = nearest(name, blobs);
  return `${found}${near === undefined ? '' : `; did you mean "${near}"?`}`;
}

/** The state in which a filtered layer would be present, and the flags for it. */
function describeState({ name = '', type = '', include = [], exclude = [] }: LayerParameter): string {
  const flags = include.map(({ phase, stage = [] }) =>
    [
      ...(phase === undefined ? [] : [`--phase ${phase}`]),
      ...(stage.length === 0 ? [] : [`--stage ${stage.join(',')}`]),
    ].join(' '),
  );
  const rules = flags.filter((each) => each !== '').join(' or ');
  return `layer "${name}" (${type}) for ${rules || (exclude.length > 0 ? 'states that its exclude rules do not name' : 'other levels')}`;
}
