/** NetParameter → Graph, by Caffe's rules (net.cpp, insert_splits.cpp). */

import { boolean, integer, oneOf, shapes } from '../base/kinds.ts';
import { internal, optional, options, required, signature } from '../base/options.ts';
import { type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import type { LayerParameter, NetParameter } from '../caffe/net-parameter.ts';
import { netParameter } from '../caffe/net-parameter.ts';
import { checkInputNames, inputNames } from '../layers/data.ts';
import { ruleOf } from '../layers/index.ts';
import { inputShapesOf } from '../layers/input-shapes.ts';
import { refuseUnknown, unknownBottom } from '../layers/known-layers.ts';
import {
  type BuildState,
  type Built,
  type Count,
  type Fail,
  type LayerRule,
  shapeProblem,
} from '../layers/layer.ts';
import { priorForkOf } from '../layers/prior-forks.ts';
import { checkRanges } from '../layers/ranges.ts';
import { isSink, sinkLayers } from '../layers/sinks.ts';
import { offsetBetween } from './coordinate-map.ts';
import type { Graph, Node, Selection, Value, ValueId } from './graph.ts';
import { ParameterTable } from './parameter-table.ts';
import { RoutedRows } from './routed-rows.ts';

export interface GraphOptions {
  /** The phase for BatchNorm's statistics and Dropout. Default: the net's own state, else TEST. */
  readonly phase?: 'TRAIN' | 'TEST';
  /** Shapes that replace (or, for data layers, give) those of inputs, by blob name. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** Replaces the first dimension of every input. Default: as written. */
  readonly batch?: number;
  /** Every BatchNorm uses its global statistics, regardless of the phase and the layer. Default false. */
  readonly frozenBatchNorm?: boolean;
  /**
   * The training's forward passes before this net was built, from which layers that change with every pass count on.
   * Default 0.
   * @internal
   */
  readonly passesBefore?: number;
}

/** GraphOptions as rows of a signature. */
export const graphRows = {
  phase: optional(
    oneOf('TRAIN', 'TEST'),
    "the net's own, else TEST",
    'Decides which statistics BatchNorm uses, and whether Dropout drops values.',
  ),
  inputShapes: optional(shapes, 'as written', 'The shapes of inputs, by blob name.'),
  batch: optional(
    integer(1),
    'as written',
    'The batch size, which replaces the first dimension of every input.',
  ),
  frozenBatchNorm: optional(
    boolean,
    'false',
    "Every BatchNorm uses its stored statistics instead of the batch's.",
  ),
  passesBefore: internal(integer(0)),
};

export const graphOptions = options<GraphOptions>(graphRows);

const GRAPH_FROM_CAFFE = signature('graphFromCaffe', {
  net: required(netParameter, 'An upgraded and filtered net.'),
  options: optional(graphOptions, 'none', 'How to build the graph.'),
});

/**
 * Builds the graph of an upgraded, filtered net. In-place layers become new values. Filter layers select all items.
 * @throws GraphError with the layer, its position, what was found and what was expected
 */
export function graphFromCaffe(net: NetParameter, options: GraphOptions = {}): Graph {
  return graphSelecting(net, options, undefined);
}

/**
 * The same with a given number of selected items for each Filter layer, by name.
 * @internal
 */
export function graphSelecting(
  net: NetParameter,
  options: GraphOptions,
  selected: BuildState['selected'],
): Graph {
  GRAPH_FROM_CAFFE.check(net, options);
  const layers = net.layer ?? [];
  checkInputNames(inputNames(layers), options.inputShapes ?? {});
  const builder = new GraphBuilder(net, options, selected);
  for (const [index, layer] of layers.entries()) builder.add(layer, index);
  return builder.graph;
}

const ONE: Count = [1, 1];

/** The current layer. */
interface Site {
  readonly layer: LayerParameter;
  readonly index: number;
  readonly name: string;
  readonly type: string;
  readonly bottomNames: readonly string[];
  readonly state: BuildState;
  readonly fail: Fail;
}

/** A graph to which layers are added one by one. */
class GraphBuilder {
  readonly #net: NetParameter;
  readonly #options: GraphOptions;
  readonly #selected: BuildState['selected'];
  readonly #types: ReadonlySet<string>;
  readonly #priors: BuildState['priors'];
  readonly #table = new ParameterTable();
  readonly #values: Value[] = [];
  readonly #nodes: Node[] = [];
  readonly #inputs: ValueId[] = [];
  readonly #selections: Selection[] = [];
  readonly #routed = new RoutedRows(this.#values, this.#nodes);
  readonly #blobs = new Map<string, ValueId>();
  readonly #unread = new Set<string>();
  /** Blobs that are outputs even if layers read them. */
  readonly #kept = new Set<string>();
  readonly #lossWeights = new Map<ValueId, number>();
  readonly #splitBlobs: ReadonlySet<string>;

  /** @param selected The number of items that each Filter layer selects, by name; undefined: all. */
  constructor(net: NetParameter, options: GraphOptions, selected: BuildState['selected']) {
    this.#net = net;
    this.#options = options;
    this.#selected = selected;
    this.#types = new Set((net.layer ?? []).map(({ type = '' }) => type));
    this.#priors = priorForkOf(net.layer ?? []);
    this.#splitBlobs = splitReaders(net);
  }

  get graph(): Graph {
    return {
      name: this.#net.name ?? '',
      values: this.#values,
      parameters: this.#table.all,
      nodes: this.#nodes,
      inputs: this.#inputs,
      selections: this.#selections,
      outputs: [...new Set([...this.#unread, ...this.#kept])].sort().map((name) => this.#blobs.get(name)!),
      blobs: this.#blobs,
      lossWeights: this.#lossWeights,
    };
  }

  /**
   * Adds the net's layer with this index, after all earlier ones.
   * @throws GraphError
   */
  add(layer: LayerParameter, index: number): void {
    const at = this.#site(layer, index);
    const shapes = inputShapesOf(layer, at.state.phase, this.#options, at.fail);
    if (shapes !== null) {
      this.#addInputs(at, shapes);
      return;
    }
    const bottoms = this.#bottoms(at);
    if (isSink(at.type)) {
      this.#checkSink(at, bottoms);
      return;
    }
    refuseUnknown(layer, this.#net.layer ?? []);
    this.#addLayer(at, ruleOf(layer)!, bottoms);
  }

  #site(layer: LayerParameter, index: number): Site {
    const { phase, frozenBatchNorm = false, passesBefore = 0 } = this.#options;
    const state: BuildState = {
      // net.cpp (Init): a layer's own phase takes precedence over the net's.
      phase: layer.phase ?? phase ?? this.#net.state?.phase ?? 'TEST',
      frozenBatchNorm,
      passesBefore,
      forceBackward: this.#net.force_backward === true,
      selected: this.#selected,
      types: this.#types,
      priors: this.#priors,
    };
    const { name = '', type = '', bottom: bottomNames = [] } = layer;
    const fail: Fail = (code, text, field) => this.#table.context(layer, state, []).fail(code, text, field);
    return { layer, index, name, type, bottomNames, state, fail };
  }

  #bottoms({ layer, bottomNames, fail }: Site): ValueId[] {
    const bottoms = bottomNames.map(
      (name) =>
        this.#blobs.get(name) ??
        fail('unknown-bottom', unknownBottom(name, layer, this.#net, this.#blobs.keys())),
    );
    for (const name of bottomNames) this.#unread.delete(name);
    return bottoms;
  }

  #context({ layer, state }: Site, bottoms: readonly ValueId[]) {
    const shapes = bottoms.map((id) => this.#values[id]!.shape);
    const offsetOfSecond = () =>
      offsetBetween(
        { values: this.#values, nodes: this.#nodes, inputs: this.#inputs },
        bottoms[0]!,
        bottoms[1]!,
      );
    return Object.assign(this.#table.context(layer, state, shapes), { offsetOfSecond });
  }

  /** The value that a layer makes under this name: a new one, even in place. */
  #addTop({ index, name: layer, bottomNames, fail }: Site, name: string, shape: Shape): ValueId {
    const isBottom = bottomNames.includes(name);
    const inPlace = isBottom && !this.#splitBlobs.has(`${index}/${name}`);
    const before = this.#blobs.get(name);
    if (before !== undefined && !inPlace) {
      const why = isBottom ? '; an in-place layer needs to be the only reader of its blob' : '';
      fail('top-twice', `top "${name}" is already produced by layer "${this.#values[before]!.layer}"${why}`);
    }
    const problem = shapeProblem(shape);
    if (problem !== null) fail('too-large', `top "${name}" ${problem}`);
    const id = this.#values.push({ blob: name, layer, shape }) - 1;
    this.#blobs.set(name, id);
    this.#unread.add(name);
    return id;
  }

  #addInputs(at: Site, shapes: readonly (Shape | undefined)[]): void {
    const { layer, fail } = at;
    checkRanges(this.#context(at, []));
    for (const [i, name] of (layer.top ?? []).entries()) {
      const shape =
        shapes[i] ??
        fail('input-shape', `input "${name}" has no shape; give input_param { shape { dim: … } }`);
      if (shape.some((dim) => !(Number.isInteger(dim) && dim >= 1)))
        fail(
          'input-shape',
          `input "${name}" has the shape ${showShape(shape)}; dimensions must be at least 1`,
        );
      this.#inputs.push(this.#addTop(at, name, shape));
    }
  }

  #checkSink(at: Site, bottoms: readonly ValueId[]): void {
    const sink = sinkLayers[at.type]!;
    checkCount(sink.bottoms, bottoms.length, 'bottom', at.fail);
    checkCount([0, 0], at.layer.top?.length ?? 0, 'top', at.fail);
    const context = this.#context(at, bottoms);
    checkRanges(context);
    sink.check?.(context);
    if (sink.keeps) for (const name of at.bottomNames) this.#kept.add(name);
  }

  #addLayer(at: Site, rule: LayerRule, bottoms: readonly ValueId[]): void {
    const { layer, name, type, fail } = at;
    const written = layer.top ?? [];
    const tops = rule.isLoss && written.length === 0 ? [layer.name ?? 'loss'] : written;
    checkCount(rule.bottoms ?? ONE, bottoms.length, 'bottom', fail);
    checkCount(rule.tops ?? ONE, tops.length, 'top', fail);
    if (rule.eachBottom && bottoms.length !== tops.length)
      fail('top-count', `needs as many tops as bottoms, found ${tops.length} and ${bottoms.length}`);
    const context = this.#context(at, bottoms);
    checkRanges(context);
    const node = { name, type, position: positionOf(layer), layers: [name] };
    const joined = this.#routed.joined(context, bottoms, node);
    const built = joined?.built ?? rule.build(context);
    if ((layer.param?.length ?? 0) > context.used)
      fail('param-count', `has ${layer.param!.length} param fields, but only ${context.used} blobs`);
    const weights = checkLossWeights(at, rule, tops.length);
    const made = 'steps' in built ? built.made.map((index) => built.shapes[index]!) : built.tops;
    const shapes = rule.eachBottom ? tops.map(() => made[0]!) : made;
    const outputs = shapes.map((shape, i) => this.#addTop(at, tops[i]!, shape));
    this.#markRows(outputs, joined?.rows ?? this.#rowsOf(built, outputs, bottoms));
    if ('route' in built && built.route !== undefined)
      this.#routed.add(outputs[0]!, bottoms[0]!, built.route);
    outputs.forEach((id, i) => {
      const weight = weights[i] ?? (rule.isLoss && i === 0 ? 1 : 0);
      if (weight !== 0) this.#lossWeights.set(id, weight);
    });
    const propagate = layer.propagate_down ?? [];
    if (propagate.length > 0 && propagate.length !== bottoms.length)
      fail('propagate-down', 'propagate_down must be given once per bottom or not at all', 'propagate_down');
    if (rule.eachBottom)
      for (const [i, id] of bottoms.entries())
        this.#addNodes(node, built, [id], [outputs[i]!], propagate.slice(i, i + 1), fail);
    else this.#addNodes(node, built, joined?.reads ?? bottoms, outputs, propagate, fail);
  }

  /** Records how many rows of a layer's tops are valid, as the layer or the maker of a bottom determines it. */
  #rowsOf(built: Built, outputs: readonly ValueId[], bottoms: readonly ValueId[]): ValueId | undefined {
    if (built.rows !== undefined) return outputs[built.rows];
    return bottoms.map((id) => this.#values[id]!.rows).find((rows) => rows !== undefined);
  }

  #markRows(outputs: readonly ValueId[], counted: ValueId | undefined): void {
    if (counted === undefined) return;
    const rows = leadingRows(this.#values[counted]!.shape);
    for (const id of outputs) {
      const value = this.#values[id]!;
      if (leadingRows(value.shape) === rows) this.#values[id] = { ...value, rows: counted };
    }
  }

  /** One layer applied to some of its bottoms. */
  #addNodes(
    node: Pick<Node, 'name' | 'type' | 'position' | 'layers'>,
    built: Built,
    inputs: readonly ValueId[],
    outputs: readonly ValueId[],
    down: readonly boolean[],
    fail: Fail,
  ): void {
    if (!('steps' in built)) {
      this.#nodes.push({ ...node, operation: built.operation, ...propagated(down), inputs, outputs });
      return;
    }
    const ids = built.shapes.map((shape, index): ValueId => {
      if (index < inputs.length) return inputs[index]!;
      const top = built.made.indexOf(index);
      if (top >= 0) return outputs[top]!;
      const problem = shapeProblem(shape);
      if (problem !== null) fail('too-large', `an intermediate result ${problem}`);
      const blob = `${node.name} part ${index}`;
      return this.#values.push({ blob, layer: node.name, shape, isPart: true }) - 1;
    });
    const { selection } = built;
    if (selection !== undefined)
      this.#selections.push({
        layer: node.name,
        selector: ids[selection.selector]!,
        indices: ids[selection.indices]!,
      });
    for (const step of built.steps) {
      const goesDown = step.inputs.map(
        (index, i) => (step.propagateDown?.[i] ?? true) && (index >= inputs.length || (down[index] ?? true)),
      );
      this.#nodes.push({
        ...node,
        operation: step.operation,
        ...propagated(goesDown.includes(false) ? goesDown : []),
        inputs: step.inputs.map((index) => ids[index]!),
        outputs: step.outputs.map((index) => ids[index]!),
      });
    }
  }
}

/** The number of rows of a blob: its first size, or the first that is not 1. */
const leadingRows = (shape: Shape): number => shape.find((size) => size !== 1) ?? 1;

const propagated = (propagateDown: readonly boolean[]) => (propagateDown.length > 0 ? { propagateDown } : {});

function checkLossWeights(
  { layer, type, fail }: Site,
  { isLoss }: LayerRule,
  tops: number,
): readonly number[] {
  const weights = layer.loss_weight ?? [];
  if (weights.length > 0 && weights.length !== tops)
    fail('loss-weight', 'loss_weight must be given once per top or not at all');
  // loss_layer.cpp gives a loss without a loss_weight a single one. layer.hpp then refuses it for two tops.
  if (isLoss && tops > 1 && weights.length === 0)
    fail(
      'loss-tops',
      `a second top on ${type} requires two loss_weight, such as 1 and 0, because Caffe gives a loss its own loss_weight; or add a Softmax layer for the probabilities`,
    );
  return weights;
}

function checkCount([minimum, maximum]: Count, count: number, what: 'bottom' | 'top', fail: Fail): void {
  if (count >= minimum && count <= maximum) return;
  const expected =
    minimum === maximum
      ? `${minimum}`
      : maximum === Number.POSITIVE_INFINITY
        ? `at least ${minimum}`
        : `${minimum} to ${maximum}`;
  fail(`${what}-count`, `takes ${expected} ${what}${expected === '1' ? '' : 's'}, found ${count}`);
}

// Caffe splits a blob with several readers, so none of them may work in place. Keys: `layer index/blob`.
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
