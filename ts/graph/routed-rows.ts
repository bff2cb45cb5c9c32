/**
 * Rows that a net divided among routes and joins again by Concat: the valid ones first, in the same order for every blob.
 */
import type { Built, LayerContext, Route } from '../layers/layer.ts';
import { inOrder, joinsRows, mostRows, orderOfRows, type Routed } from '../layers/scale-route.ts';
import type { Node, Value, ValueId } from './graph.ts';

/** A Concat of routed rows. */
export interface Joined {
  readonly built: Built;
  /** The layer's bottoms, and the order of their rows. */
  readonly reads: readonly ValueId[];
  /** The regions in that order. They determine how many rows of the top are valid. */
  readonly rows: ValueId;
}

/** The routes of a net while it is built, and the joined rows. */
export class RoutedRows {
  readonly #values: Value[];
  readonly #nodes: Node[];
  /** By the regions that a route made. */
  readonly #routes = new Map<ValueId, Routed>();
  /** By the joined regions. */
  readonly #orders = new Map<string, { readonly order: ValueId; readonly rows: ValueId }>();

  /** @param values, nodes The lists to append to. */
  constructor(values: Value[], nodes: Node[]) {
    this.#values = values;
    this.#nodes = nodes;
  }

  add(regions: ValueId, source: ValueId, route: Route): void {
    this.#routes.set(regions, { route, source, sourceRows: this.#values[source]!.shape[0]! });
  }

  /**
   * A layer as a Concat of routed rows; undefined if it is not one.
   * @param node A name for its operations.
   */
  joined(
    context: LayerContext,
    bottoms: readonly ValueId[],
    node: Pick<Node, 'name' | 'type' | 'position' | 'layers'>,
  ): Joined | undefined {
    const shapes = context.shapes;
    const regions = bottoms.map((id) => this.#values[id]!.rows);
    const isRouted = (id: ValueId | undefined, i: number) =>
      id !== undefined && this.#routes.has(id) && shapes[i]![0] === this.#values[id]!.shape[0];
    // A layer without bottoms, such as Parameter, joins nothing.
    const [first] = shapes;
    if (first === undefined) return undefined;
    const joins = joinsRows(context.layer, first.length);
    this.#refuseMixed(context, regions.filter(isRouted) as ValueId[], joins);
    if (!joins || !regions.every(isRouted)) return undefined;
    // Rows of different widths are left to the Concat's own rule, which refuses them.
    if (shapes.some((shape) => String(shape.slice(1)) !== String(first.slice(1)))) return undefined;
    const { order, rows } = this.#orderOf(context, regions as ValueId[], node);
    const reads = [...bottoms, order];
    return { built: inOrder(reads.map((id) => this.#values[id]!.shape)), reads, rows };
  }

  // Rows of −1 after the valid ones would be between other valid rows. Rows of several routes do not belong to the same
  // region.
  #refuseMixed(context: LayerContext, routed: readonly ValueId[], joins: boolean): void {
    const { layer, shapes } = context;
    if (layer.type !== 'Concat' || routed.length === 0) return;
    if (joins && routed.length < shapes.length)
      context.fail(
        'shape',
        'joins rows of a ScaleRoute with others along axis 0; route the others, too',
        'bottom',
      );
    if (!joins && new Set(routed).size > 1)
      context.fail(
        'shape',
        'joins rows of several ScaleRoutes along another axis than 0, but these rows belong to different regions',
        'bottom',
      );
  }

  #orderOf(
    context: LayerContext,
    regions: readonly ValueId[],
    node: Pick<Node, 'name' | 'type' | 'position' | 'layers'>,
  ): { order: ValueId; rows: ValueId } {
    const key = regions.join();
    const known = this.#orders.get(key);
    if (known !== undefined) return known;
    const shapes = regions.map((id) => this.#values[id]!.shape);
    const most = mostRows(regions.map((id) => this.#routes.get(id)!));
    const part = (shape: readonly number[]): ValueId =>
      this.#values.push({ blob: `${node.name} rows`, layer: node.name, shape, isPart: true }) - 1;
    const order = part([most]);
    this.#nodes.push({
      ...node,
      operation: orderOfRows(context, shapes, most),
      inputs: regions,
      outputs: [order],
      propagateDown: regions.map(() => false),
    });
    const built = inOrder([...shapes, [most]]);
    if (!('steps' in built)) throw new Error('a Concat of routed rows is several operations');
    const inputs = [...regions, order];
    const ids = built.shapes.map((shape, i) => inputs[i] ?? part(shape));
    for (const { operation, ...step } of built.steps)
      this.#nodes.push({
        ...node,
        operation,
        inputs: step.inputs.map((i) => ids[i]!),
        outputs: step.outputs.map((i) => ids[i]!),
        propagateDown: step.inputs.map(() => false),
      });
    const rows = ids[built.made[0]!]!;
    this.#values[rows] = { ...this.#values[rows]!, rows };
    const made = { order, rows };
    this.#orders.set(key, made);
    return made;
  }
}
