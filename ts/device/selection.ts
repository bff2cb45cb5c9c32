/**
 * Finds the items that Filter layers select, which determine the shapes of a run. They are found before each run, from its
 * inputs.
 */
import { GraphError } from '../base/errors.ts';
import { type Shape, showShape } from '../base/shape.ts';
import type { Lowered } from '../compile/compile.ts';
import { DeviceBuffer } from './buffer.ts';
import type { InputArray } from './input-array.ts';

/** Inputs by name. */
type Given = Readonly<Record<string, { readonly shape: Shape; readonly data: InputArray }>>;

/** The number of items that each Filter layer selects, by name, if it does not select all. */
export type Counts = Readonly<Record<string, number>>;

export interface Selected {
  readonly counts: Counts;
  /** The inputs of the program after the net's own inputs. */
  readonly indices: readonly Float32Array[];
}

/** A model that computes the selectors. */
interface SelectorModel {
  readonly inputs: Readonly<Record<string, unknown>>;
  run(inputs: Given): Promise<Readonly<Record<string, { readonly data: Float32Array }>>>;
  dispose(): void;
}

export class Selector {
  readonly #lowered: Pick<Lowered, 'graph' | 'selections'>;
  readonly #load: (outputs: readonly string[]) => Promise<SelectorModel>;
  #model: Promise<SelectorModel> | null = null;

  /**
   * @param load Loads the net with the given outputs, for selectors that are not inputs. It is called when they are first
   * needed.
   */
  constructor(
    lowered: Pick<Lowered, 'graph' | 'selections'>,
    load: (outputs: readonly string[]) => Promise<SelectorModel>,
  ) {
    this.#lowered = lowered;
    this.#load = load;
  }

  async select(given: Given): Promise<Selected> {
    const { selections } = this.#lowered;
    const names = selections.map(({ selector }) => this.#nameOf(selector));
    const computed = names.some((name) => !Object.hasOwn(given, name)) ? await this.#compute(given) : {};
    const counts: Record<string, number> = {};
    const indices: Float32Array[] = [];
    for (const [i, { layer }] of selections.entries()) {
      const values = Object.hasOwn(given, names[i]!)
        ? await valuesOf(given[names[i]!]!.data)
        : computed[names[i]!]!.data;
      const passing: number[] = [];
      for (let item = 0; item < values.length; item++) if (values[item] !== 0) passing.push(item);
      if (passing.length < values.length) counts[layer] = passing.length;
      // For an empty selection one item is computed, and then removed.
      indices.push(Float32Array.from(passing.length === 0 ? [0] : passing));
    }
    return { counts, indices };
  }

  dispose(): void {
    void this.#model?.then(
      (model) => model.dispose(),
      () => {},
    );
    this.#model = null;
  }

  // An input has the name of its blob; a computed value is named together with its layer.
  #nameOf(id: number): string {
    const { graph } = this.#lowered;
    const { blob, layer } = graph.values[id]!;
    return graph.inputs.includes(id) ? blob : `${blob}@${layer}`;
  }

  async #compute(given: Given) {
    const { graph, selections } = this.#lowered;
    const computed = selections.map(({ selector }) => selector).filter((id) => !graph.inputs.includes(id));
    this.#model ??= this.#load([...new Set(computed.map((id) => this.#nameOf(id)))]);
    const model = await this.#model;
    return model.run(Object.fromEntries(Object.keys(model.inputs).map((name) => [name, given[name]!])));
  }
}

const valuesOf = async (data: InputArray): Promise<Float32Array | Uint8Array> =>
  data instanceof DeviceBuffer ? await data.download() : data;

/** Layers whose state would include the item that stands for an empty selection. */
const STATEFUL = ['batchNorm', 'bn', 'remember'];

/**
 * The axis along which each output has no items if Filter layers select none; null if the output does not depend on them.
 * @param lower Lowers the net for given numbers of selected items.
 * @throws GraphError `graph/empty-selection` for an output that is computed from all items together
 */
export function emptyAxes(lower: (counts: Counts) => Lowered, counts: Counts): (number | null)[] {
  const one = lower(counts);
  const two = lower(Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count || 2])));
  const shapesOf = ({ program }: Lowered) => program.outputs.map((id) => program.tensors[id]!.shape);
  const others = shapesOf(two);
  const { graph, selections, names } = one;
  const empty = selections.filter(({ layer }) => counts[layer] === 0);
  const reached = new Set(empty.map(({ indices }) => indices));
  const refuse = (what: string): never => {
    throw new GraphError(
      'graph/empty-selection',
      { layer: empty[0]!.layer, type: 'Filter' },
      `selects none of its items, and ${what}; request outputs with one row per item, or feed items of which one passes`,
    );
  };
  for (const node of graph.nodes) {
    if (!node.inputs.some((id) => reached.has(id))) continue;
    for (const id of node.outputs) reached.add(id);
    if (STATEFUL.includes(node.operation.kind)) refuse(`layer "${node.name}" learns from them`);
  }
  return shapesOf(one).map((shape, i) => {
    if (!reached.has(graph.outputs[i]!)) return null;
    const axis = shape.findIndex((size, at) => size !== others[i]![at]);
    return axis >= 0
      ? axis
      : refuse(`output "${names[i]}" (${showShape(shape)}) is computed from all of them together`);
  });
}

/** @throws GraphError `graph/empty-selection` if a net in training selects nothing */
export function refuseEmpty(counts: Counts): void {
  const empty = Object.keys(counts).find((layer) => counts[layer] === 0);
  if (empty === undefined) return;
  throw new GraphError(
    'graph/empty-selection',
    { layer: empty, type: 'Filter' },
    'selects none of the items of this batch, so nothing can be learned (Caffe would divide by zero); make batches of which at least one item passes',
  );
}

/** Kinds without blobs whose results differ between passes. */
const CHANGING = ['dropout', 'stochasticPooling', 'recall'];

/** @throws GraphError `graph/selector` for a selector that changes in training, or randomly */
export function refuseLearningSelectors({ graph, selections }: Pick<Lowered, 'graph' | 'selections'>): void {
  const withBlobs = new Set(graph.parameters.flatMap(({ places }) => places.map(({ layer }) => layer)));
  for (const { layer, selector } of selections) {
    const needed = new Set([selector]);
    for (const node of graph.nodes.toReversed()) {
      if (!node.outputs.some((id) => needed.has(id))) continue;
      for (const id of node.inputs) needed.add(id);
      if (!node.layers.some((name) => withBlobs.has(name)) && !CHANGING.includes(node.operation.kind))
        continue;
      throw new GraphError(
        'graph/selector',
        { layer, type: 'Filter' },
        `its selector depends on layer "${node.name}" (${node.type}), whose results change as the net learns: how many items pass must follow from the inputs; select by labels or other data`,
      );
    }
  }
}
