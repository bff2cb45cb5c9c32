/**
 * In the published ResNets the last blob of a stage is read only by 1×1 convolutions of stride 2, which skip three
 * pixels of four (design decision 4). The pass moves the stride up to the layers that compute these pixels. The result is
 * exact, and saves a tenth of ResNet-50's arithmetic.
 */
import type { Graph, Node, Value, ValueId } from '../graph/graph.ts';
import type { Operation, Pair } from '../layers/operation.ts';
import { isPrivate, type Uses, usesOf } from './rewrite.ts';

export function moveStrides(graph: Graph): Graph {
  const mover = new StrideMover(graph);
  for (let id = 0; id < graph.values.length; id++) mover.moveFrom(id);
  return mover.result();
}

type Convolution = Extract<Operation, { kind: 'convolution' }>;

/** Nodes keep their positions and readers. Their replacements are found by the original node. */
class StrideMover {
  readonly #graph: Graph;
  readonly #uses: Uses;
  readonly #values: Value[];
  readonly #changed = new Map<Node, Node>();
  /** Selections of pixels inserted before a node, with their sources. */
  readonly #picks = new Map<Node, Node[]>();
  readonly #picked = new Set<ValueId>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#uses = usesOf(graph);
    this.#values = [...graph.values];
  }

  /** Reduces `id` to the pixels that its readers use if all skip the same ones. Their stride becomes 1. */
  moveFrom(id: ValueId): void {
    const stride = this.#strideSkipped(id);
    if (stride === null) return;
    for (const reader of this.#uses.readers.get(id)!) this.#change(reader, { stride: [1, 1] });
    const pending = [id];
    for (let next = pending.pop(); next !== undefined; next = pending.pop())
      pending.push(...this.#subsample(next, stride));
  }

  result(): Graph {
    const nodes = this.#graph.nodes.flatMap((node) => [
      ...(this.#picks.get(node) ?? []),
      this.#changed.get(node) ?? node,
    ]);
    return { ...this.#graph, values: this.#values, nodes };
  }

  /** The common stride of all readers, if they skip pixels of a value that a convolution makes. */
  #strideSkipped(id: ValueId): Pair | null {
    const readers = this.#uses.readers.get(id);
    if (readers === undefined || this.#uses.requested.has(id) || this.#picked.has(id)) return null;
    if (this.#convolutionOf(id) === null) return null;
    let shared: Pair | null = null;
    for (const reader of readers) {
      const { operation, inputs } = this.#changed.get(reader) ?? reader;
      if (operation.kind !== 'convolution' || inputs[0] !== id || inputs[1] === id) return null;
      if (!isPointwise(operation)) return null;
      const { stride } = operation;
      if (stride[0] * stride[1] === 1) return null;
      if (shared !== null && (shared[0] !== stride[0] || shared[1] !== stride[1])) return null;
      shared = stride;
    }
    return shared;
  }

  /**
   * Reduces the pixels that the convolution of `id` makes.
   * @returns Values of which it then needs fewer pixels too.
   */
  #subsample(id: ValueId, stride: Pair): ValueId[] {
    this.#values[id] = subsampled(this.#values[id]!, stride);
    const maker = this.#uses.maker.get(id)!;
    const operation = this.#convolutionOf(id)!;
    const [source, residual] = (this.#changed.get(maker) ?? maker).inputs as [ValueId, ValueId?];
    const above: ValueId[] = [];
    if (isPointwise(operation) && operation.stride.every((step) => step === 1) && this.#isMovable(source))
      above.push(source);
    else this.#change(maker, { stride: [operation.stride[0] * stride[0], operation.stride[1] * stride[1]] });
    if (residual === undefined) return above;
    if (this.#isMovable(residual)) above.push(residual);
    else this.#pick(maker, source, residual, stride);
    return above;
  }

  #isMovable(id: ValueId): boolean {
    return this.#convolutionOf(id) !== null && isPrivate(this.#uses, id);
  }

  #convolutionOf(id: ValueId): Convolution | null {
    const maker = this.#uses.maker.get(id);
    if (maker === undefined) return null;
    const { operation } = this.#changed.get(maker) ?? maker;
    return operation.kind === 'convolution' ? operation : null;
  }

  #change(node: Node, more: Partial<Convolution>, inputs = (this.#changed.get(node) ?? node).inputs): void {
    const { operation } = this.#changed.get(node) ?? node;
    this.#changed.set(node, { ...node, operation: { ...(operation as Convolution), ...more }, inputs });
  }

  /**
   * Selects, before `node`, the needed pixels of its residual, by a 1×1 average, which copies them. A maximum would
   * replace NaN.
   */
  #pick(node: Node, source: ValueId, residual: ValueId, stride: Pair): void {
    const name = `${this.#values[residual]!.blob}_subsample`;
    const value = { ...subsampled(this.#values[residual]!, stride), blob: name, layer: name };
    const picked = this.#values.push(value) - 1;
    this.#picked.add(residual);
    const pick: Node = {
      name,
      type: 'Pooling',
      position: undefined,
      layers: [name],
      operation: { kind: 'pooling', method: 'average', kernel: [1, 1], stride, pad: [0, 0] },
      inputs: [residual],
      outputs: [picked],
    };
    // A residual that was reduced for one stride may be reduced again for another.
    this.#picks.set(node, [...(this.#picks.get(node) ?? []), pick]);
    this.#change(node, {}, [source, picked]);
  }
}

const isPointwise = ({ kernel, pad }: Convolution) =>
  kernel.every((size) => size === 1) && pad.every((size) => size === 0);

function subsampled(value: Value, stride: Pair): Value {
  const [n, c, h, w] = value.shape as [number, number, number, number];
  return { ...value, shape: [n, c, Math.ceil(h / stride[0]), Math.ceil(w / stride[1])] };
}
