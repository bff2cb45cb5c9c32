/** NetParameter → Graph, by Caffe's rules (net.cpp, insert_splits.cpp). The only file that knows both worlds. */

import type { CodeOf } from '../base/error-codes.ts';
import { GraphError } from '../base/errors.ts';
import { boolean, integer, oneOf, shapes } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { type Shape, showShape } from '../base/shape.ts';
import { nearest } from '../base/suggest.ts';
import { positionOf, refusalOf } from '../caffe/message.ts';
import {
  droppedLayers,
  type LayerParameter,
  type NetParameter,
  netParameter,
} from '../caffe/net-parameter.ts';
import {
  checkInputNames,
  DATA_TYPES,
  dimsOf,
  inputNames,
  shapeCure,
  shapeGiven,
  textShapes,
} from '../layers/data.ts';
import { explainLayerType, layerRules, ruleOf, supportedLayerTypes } from '../layers/index.ts';
import { givenShapes } from '../layers/javascript.ts';
import { type BuildState, type Count, shapeProblem } from '../layers/layer.ts';
import { publicDataShapes } from '../layers/public-modules.ts';
import { checkRanges } from '../layers/ranges.ts';
import { isSink, sinkLayers } from '../layers/sinks.ts';
import type { Graph, Node, Selection, Value, ValueId } from './graph.ts';
import { ParameterTable } from './parameter-table.ts';

const ONE: Count = [1, 1];

export interface GraphOptions {
  /** Decides BatchNorm's statistics and Dropout. Default: the net's own state, else TEST. */
  readonly phase?: 'TRAIN' | 'TEST';
  /** Shapes that replace (or, for data layers, give) those of inputs, by blob name. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** Replaces the first dimension of every input. Default: as written. */
  readonly batch?: number;
  /** Every BatchNorm uses its global statistics, whatever phase and layer say. Default false. */
  readonly frozenBatchNorm?: boolean;
}

/** Rows of GraphOptions. */
export const graphRows = {
  phase: optional(
    oneOf('TRAIN', 'TEST'),
    "the net's own, else TEST",
    "Decides BatchNorm's statistics and Dropout.",
  ),
  inputShapes: optional(shapes, 'as written', 'Shapes of inputs by blob name.'),
  batch: optional(integer(1), 'as written', 'Replaces the first dimension of every input.'),
  frozenBatchNorm: optional(boolean, 'false', 'Every BatchNorm uses its stored statistics.'),
};

export const graphOptions = options<GraphOptions>(graphRows);

const GRAPH_FROM_CAFFE = signature('graphFromCaffe', {
  net: required(netParameter, 'Upgraded and filtered.'),
  options: optional(graphOptions, 'none', 'How it is built.'),
});

/**
 * Builds the graph of an upgraded, filtered net; in-place layers become values of their own. Filter layers select all items.
 * @throws GraphError naming layer, place, what was found and expected.
 */
export function graphFromCaffe(net: NetParameter, options: GraphOptions = {}): Graph {
  return graphSelecting(net, options, undefined);
}

/** The same, where Filter layers select so many items, by name. @internal */
export function graphSelecting(
  net: NetParameter,
  options: GraphOptions,
  selected: BuildState['selected'],
): Graph {
  GRAPH_FROM_CAFFE.check(net, options);
  const phase = options.phase ?? net.state?.phase ?? 'TEST';
  const frozenBatchNorm = options.frozenBatchNorm ?? false;
  // net.cpp (Init): a layer's own phase beats the net's.
  const stateOf = (layer: LayerParameter): BuildState => ({
    phase: layer.phase ?? phase,
    frozenBatchNorm,
    forceBackward: net.force_backward === true,
    selected,
  });
  const table = new ParameterTable();
  const values: Value[] = [];
  const nodes: Node[] = [];
  const inputs: ValueId[] = [];
  const selections: Selection[] = [];
  const blobs = new Map<string, ValueId>();
  const unread = new Set<string>();
  const splitBlobs = splitReaders(net);
  const lossWeights = new Map<ValueId, number>();
  const layers = net.layer ?? [];
  checkInputNames(inputNames(layers), options.inputShapes ?? {});

  layers.forEach((layer, layerIndex) => {
    const bottomNames = layer.bottom ?? [];
    const topNames = layer.top ?? [];
    const state = stateOf(layer);
    const fail = (code: CodeOf<'graph'>, text: string, field?: string): never =>
      table.context(layer, state, []).fail(code, text, field);
    const addTop = (name: string, shape: Shape): ValueId => {
      const inPlace = bottomNames.includes(name) && !splitBlobs.has(`${layerIndex}/${name}`);
      if (blobs.has(name) && !inPlace) {
        const why = bottomNames.includes(name)
          ? '; an in-place layer needs to be the only reader of its blob'
          : '';
        fail(
          'top-twice',
          `top "${name}" is already made by layer "${values[blobs.get(name)!]!.layer}"${why}`,
        );
      }
      const problem = shapeProblem(shape);
      if (problem !== null) fail('too-large', `top "${name}" ${problem}`);
      values.push({ blob: name, layer: layer.name ?? '', shape });
      blobs.set(name, values.length - 1);
      unread.add(name);
      return values.length - 1;
    };

    const type = layer.type ?? '';
    const declared = inputShapesOf(layer, state.phase, options, fail);
    if (declared !== null) {
      checkRanges(table.context(layer, state, []));
      topNames.forEach((name, i) => {
        const shape =
          declared[i] ??
          fail('input-shape', `input "${name}" has no shape; give input_param { shape { dim: … } }`);
        if (shape.some((dim) => !(Number.isInteger(dim) && dim >= 1)))
          fail(
            'input-shape',
            `input "${name}" has the shape ${showShape(shape)}; dimensions must be at least 1`,
          );
        inputs.push(addTop(name, shape));
      });
      return;
    }
    const bottoms = bottomNames.map((name) => {
      const id = blobs.get(name);
      if (id !== undefined) return id;
      return fail('unknown-bottom', unknownBottom(name, layer, net, blobs.keys()));
    });
    for (const name of bottomNames) unread.delete(name);
    if (isSink(type)) {
      checkCount(sinkLayers[type]!.bottoms, bottomNames.length, 'bottom', fail);
      checkCount([0, 0], topNames.length, 'top', fail);
      const shapes = bottoms.map((id) => values[id]!.shape);
      const context = table.context(layer, state, shapes);
      checkRanges(context);
      sinkLayers[type]!.check?.(context);
      return;
    }
    const refusal = refusalOf(layer);
    // What a fork added to a layer matters only where all types are there.
    const unknown =
      refusal === undefined
        ? layer
        : (layers.find((each) => (each.bottom ?? []).length > 0 && !isKnownType(each)) ?? layer);
    if (!isKnownType(unknown)) {
      const { code, text } = explainLayerType(unknown.type ?? '', supportedLayerTypes);
      table.context(unknown, state, []).fail(code, text, 'type');
    }
    if (refusal !== undefined) throw refusal;
    const rule = ruleOf(layer)!;
    const tops = rule.isLoss && topNames.length === 0 ? [layer.name ?? 'loss'] : topNames;
    checkCount(rule.bottoms ?? ONE, bottomNames.length, 'bottom', fail);
    checkCount(rule.tops ?? ONE, tops.length, 'top', fail);
    if (rule.eachBottom && bottomNames.length !== tops.length)
      fail('top-count', `needs as many tops as bottoms, found ${tops.length} and ${bottomNames.length}`);
    const context = table.context(
      layer,
      state,
      bottoms.map((id) => values[id]!.shape),
    );
    checkRanges(context);
    const built = rule.build(context);
    if ((layer.param?.length ?? 0) > context.used)
      fail('param-count', `has ${layer.param!.length} param, but only ${context.used} blobs`);
    const weights = layer.loss_weight ?? [];
    if (weights.length > 0 && weights.length !== tops.length)
      fail('loss-weight', 'loss_weight must be given once per top or not at all');
    // loss_layer.cpp gives a loss without a loss_weight a single one, which layer.hpp then refuses for two tops.
    if (rule.isLoss && tops.length > 1 && weights.length === 0)
      fail(
        'loss-tops',
        `a second top on ${type} takes two loss_weight, such as 1 and 0: Caffe gives a loss one of its own; or add a Softmax layer for the probabilities`,
      );
    const made = 'steps' in built ? built.made.map((index) => built.shapes[index]!) : built.tops;
    const topShapes = rule.eachBottom ? tops.map(() => made[0]!) : made;
    const outputs = topShapes.map((shape, i) => addTop(tops[i]!, shape));
    const counted = rowsOf(
      built,
      outputs,
      bottoms.map((id) => values[id]!),
    );
    if (counted !== undefined)
      for (const id of outputs)
        if (leadingRows(values[id]!.shape) === leadingRows(values[counted]!.shape))
          values[id] = { ...values[id]!, rows: counted };
    outputs.forEach((id, i) => {
      const weight = weights[i] ?? (rule.isLoss && i === 0 ? 1 : 0);
      if (weight !== 0) lossWeights.set(id, weight);
    });
    const propagate = layer.propagate_down ?? [];
    if (propagate.length > 0 && propagate.length !== bottomNames.length)
      fail('propagate-down', 'propagate_down must be given once per bottom or not at all', 'propagate_down');
    const node = {
      name: layer.name ?? '',
      type,
      position: positionOf(layer),
      layers: [layer.name ?? ''],
    };
    /** One layer on some of its bottoms. */
    const addNodes = (ins: readonly ValueId[], outs: readonly ValueId[], down: readonly boolean[]) => {
      if (!('steps' in built)) {
        const { operation } = built;
        nodes.push({ ...node, operation, ...propagated(down), inputs: ins, outputs: outs });
        return;
      }
      const ids = built.shapes.map((shape, index): ValueId => {
        if (index < ins.length) return ins[index]!;
        const top = built.made.indexOf(index);
        if (top >= 0) return outs[top]!;
        const problem = shapeProblem(shape);
        if (problem !== null) fail('too-large', `what it computes on the way ${problem}`);
        return values.push({ blob: `${node.name} part ${index}`, layer: node.name, shape, isPart: true }) - 1;
      });
      const { selection } = built;
      if (selection !== undefined)
        selections.push({
          layer: node.name,
          selector: ids[selection.selector]!,
          indices: ids[selection.indices]!,
        });
      for (const step of built.steps) {
        const goesDown = step.inputs.map(
          (index, i) => (step.propagateDown?.[i] ?? true) && (index >= ins.length || (down[index] ?? true)),
        );
        nodes.push({
          ...node,
          operation: step.operation,
          ...propagated(goesDown.includes(false) ? goesDown : []),
          inputs: step.inputs.map((index) => ids[index]!),
          outputs: step.outputs.map((index) => ids[index]!),
        });
      }
    };
    if (rule.eachBottom)
      bottoms.forEach((id, i) => {
        addNodes([id], [outputs[i]!], propagate.slice(i, i + 1));
      });
    else addNodes(bottoms, outputs, propagate);
  });
  const outputs = [...unread].sort().map((name) => blobs.get(name)!);
  const parameters = table.all;
  return { name: net.name ?? '', values, parameters, nodes, inputs, selections, outputs, blobs, lossWeights };
}

/** How many rows a blob has: its first size, or the first that is not 1. */
const leadingRows = (shape: Shape): number => shape.find((size) => size !== 1) ?? 1;

/** The value whose rows say how many rows of a layer's tops count: its own, or the one of a bottom. */
const rowsOf = (
  built: { readonly rows?: number } | object,
  outputs: readonly ValueId[],
  bottoms: readonly Value[],
): ValueId | undefined =>
  'rows' in built && built.rows !== undefined
    ? outputs[built.rows]
    : bottoms.find(({ rows }) => rows !== undefined)?.rows;

const propagated = (propagateDown: readonly boolean[]) => (propagateDown.length > 0 ? { propagateDown } : {});

/** A shape for a blob that is no input would count for nothing. @throws ArgumentError */
function checkCount(
  [minimum, maximum]: Count,
  count: number,
  what: 'bottom' | 'top',
  fail: (code: CodeOf<'graph'>, text: string) => never,
): void {
  if (count >= minimum && count <= maximum) return;
  const expected =
    minimum === maximum
      ? `${minimum}`
      : maximum === Number.POSITIVE_INFINITY
        ? `at least ${minimum}`
        : `${minimum} to ${maximum}`;
  fail(`${what}-count`, `takes ${expected} ${what}${expected === '1' ? '' : 's'}, found ${count}`);
}

const isKnownType = (layer: LayerParameter): boolean =>
  ruleOf(layer) !== undefined ||
  layer.type === 'Input' ||
  isSink(layer.type) ||
  (DATA_TYPES.includes(layer.type ?? '') && (layer.bottom ?? []).length === 0);

/**
 * Refuses a net of which a fork's fields were left out, before it is written anew without them: a foreign layer by its
 * type, a known one by the field.
 * @throws GraphError, PrototxtError
 */
export function refuseForeignLayers(layers: readonly LayerParameter[]): void {
  for (const layer of layers) {
    const refusal = refusalOf(layer);
    if (refusal === undefined) continue;
    if (isKnownType(layer)) throw refusal;
    const { code, text } = explainLayerType(layer.type ?? '', supportedLayerTypes);
    const state = { phase: 'TEST', frozenBatchNorm: false } as const;
    new ParameterTable().context(layer, state, []).fail(code, text, 'type');
  }
}

type Fail = (code: CodeOf<'graph'>, text: string, field?: string) => never;

/** The shapes of the tops of a layer that nothing feeds; null: it is no input. */
function inputShapesOf(
  layer: LayerParameter,
  phase: 'TRAIN' | 'TEST',
  options: GraphOptions,
  fail: Fail,
): (Shape | undefined)[] | null {
  const { type = '', top: tops = [], bottom = [] } = layer;
  const given = options.inputShapes ?? {};
  const isData = DATA_TYPES.includes(type);
  // A layer of any other type, Python's or a fork's, that nothing feeds is an input where all its tops have shapes.
  const isOther = !isData && ruleOf(layer) === undefined && tops.length > 0;
  if (type !== 'Input' && !isData && !isOther) return null;
  const known = (found: readonly Shape[] | null) =>
    found?.map((each, i) => shapeGiven(given, tops[i]!) ?? each);
  const refuse = (text: string): never => fail('javascript-layer', text, 'python_param');
  if (bottom.length > 0) return type === 'Input' ? fail('bottom-count', 'takes no bottoms') : null;
  const shapes =
    type === 'Input'
      ? writtenShapes(layer, given, fail)
      : (known(givenShapes(layer, phase, refuse)) ??
        known(publicDataShapes(layer, (name) => shapeGiven(given, name))) ??
        textShapes(layer, given, (text) => {
          throw fail('input-shape', `${text}; or ${shapeCure(layer)}`);
        }));
  if (shapes === null && isData) fail('input-shape', `${unknownShapes(layer)}; ${shapeCure(layer)}`);
  const { batch } = options;
  return (
    shapes?.map((shape) => (shape === undefined || batch === undefined ? shape : withBatch(shape, batch))) ??
    null
  );
}

const withBatch = (shape: Shape, batch: number): Shape =>
  shape.length === 0 ? shape : [batch, ...shape.slice(1)];

// input_layer.cpp: shape once, once a top, or not at all, where it is given from outside.
function writtenShapes(
  layer: LayerParameter,
  given: NonNullable<GraphOptions['inputShapes']>,
  fail: Fail,
): (Shape | undefined)[] {
  const tops = layer.top ?? [];
  const written = ((layer.input_param?.shape ?? []) as { dim?: number[] }[]).map(dimsOf);
  if (written.length > 1 && written.length !== tops.length)
    fail('input-shape', `has ${written.length} shapes for ${tops.length} tops; give one, or one a top`);
  return tops.map((name, i) => shapeGiven(given, name) ?? (written.length === 1 ? written[0] : written[i]));
}

function unknownShapes({ type = '', top: tops = [], ...layer }: LayerParameter): string {
  const { data_param, image_data_param, hdf5_data_param, window_data_param } = layer;
  const source = [data_param, image_data_param, hdf5_data_param, window_data_param].find(
    (param) => param?.source !== undefined,
  )?.source;
  const where =
    source === undefined ? 'which is not written in this net' : `"${source}", which is not read here`;
  const many = tops.length > 1;
  return `the ${many ? 'shapes' : 'shape'} of ${tops.join(' and ')} ${many ? 'are' : 'is'} in what ${type} reads, ${where}`;
}

// Caffe splits a blob with several readers, so that none of them may work in place. Keys: `layer index/blob`.
function splitReaders(net: NetParameter): Set<string> {
  const readers = new Map<string, number[]>();
  const found = new Set<string>();
  const close = (name: string) => {
    const list = readers.get(name) ?? [];
    if (list.length > 1) for (const index of list) found.add(`${index}/${name}`);
  };
  (net.layer ?? []).forEach((layer, index) => {
    for (const name of layer.bottom ?? []) readers.set(name, [...(readers.get(name) ?? []), index]);
    for (const name of layer.top ?? []) {
      close(name);
      readers.set(name, []);
    }
  });
  for (const name of readers.keys()) close(name);
  return found;
}

function unknownBottom(
  name: string,
  layer: LayerParameter,
  net: NetParameter,
  blobs: Iterable<string>,
): string {
  const found = `bottom "${name}" is made by no layer above`;
  const elsewhere = droppedLayers(net).filter(({ top = [] }) => top.includes(name));
  if (elsewhere.length > 0)
    return `${found} in this state; the net has ${[...new Set(elsewhere.map(describeState))].join(', and ')}`;
  if (layerRules[layer.type ?? '']?.isLoss || layer.type === 'Accuracy')
    return `${found}: without labels this is a deploy net, in which a ${layer.type} has no place; remove the layer, or let resnode print --deploy do it`;
  const near = nearest(name, blobs);
  return `${found}${near === undefined ? '' : `; did you mean "${near}"?`}`;
}

/** In which state a layer that was filtered out is there, and the flags for it. */
function describeState({ name = '', type = '', include = [], exclude = [] }: LayerParameter): string {
  const flags = include.map(({ phase, stage = [] }) =>
    [
      ...(phase === undefined ? [] : [`--phase ${phase}`]),
      ...(stage.length === 0 ? [] : [`--stage ${stage.join(',')}`]),
    ].join(' '),
  );
  const how = flags.filter((each) => each !== '').join(' or ');
  return `layer "${name}" (${type}) for ${how || (exclude.length > 0 ? 'states that its exclude rules do not name' : 'other levels')}`;
}

/**
 * The value that a name means: `blob` (as it is at the end) or `blob@layer` (right after that layer).
 * @throws GraphError `graph/unknown-blob`
 */
export function resolveOutput(graph: Graph, name: string): ValueId {
  const at = name.lastIndexOf('@');
  const byLayer =
    at < 0
      ? -1
      : graph.values.findLastIndex(
          (value) => value.blob === name.slice(0, at) && value.layer === name.slice(at + 1),
        );
  const id = graph.blobs.get(name) ?? (byLayer < 0 ? splitSource(graph, name) : byLayer);
  if (id !== undefined) return id;
  const near = nearest(name, graph.blobs.keys());
  throw new GraphError(
    'graph/unknown-blob',
    {},
    `the net has no blob "${name}"${near === undefined ? '' : `; did you mean "${near}"?`}`,
  );
}

// Caffe names the copies that it makes for several readers `<blob>_<layer>_<top>_split_<k>`; here they are the blob.
function splitSource(graph: Graph, name: string): ValueId | undefined {
  const prefix = /^(.+)_\d+_split_\d+$/.exec(name)?.[1];
  const id =
    prefix === undefined
      ? -1
      : graph.values.findLastIndex((value) => `${value.blob}_${value.layer}` === prefix);
  return id < 0 ? undefined : id;
}

/** The graph with other outputs, named as in `resolveOutput`. */
export function withOutputs(graph: Graph, names: readonly string[]): Graph {
  return { ...graph, outputs: names.map((name) => resolveOutput(graph, name)) };
}
