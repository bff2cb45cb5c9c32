/** Layers that are exactly a sequence of operations and therefore need no kernel of their own. */
import { type Shape, showShape } from '../base/shape.ts';
import type { Built, Step } from './layer.ts';
import type { Operation } from './operation.ts';

/** An input or a result of the operations of one layer. */
export interface Part {
  readonly index: number;
  readonly shape: Shape;
}

/** The number of copies that one concat joins. */
const MOST_AT_ONCE = 1024;

/** Collects the operations of one layer. */
export class Composition {
  readonly bottoms: readonly Part[];
  readonly #shapes: Shape[];
  readonly #steps: Step[] = [];
  #selection: { readonly selector: number; readonly indices: number } | undefined;

  /** @param shapes The shapes of the layer's bottoms. */
  constructor(shapes: readonly Shape[]) {
    this.#shapes = [...shapes];
    this.bottoms = shapes.map((shape, index) => ({ index, shape }));
  }

  /**
   * Adds an operation.
   * @param propagateDown Whether a diff goes down to each input; default: to all.
   */
  add(
    operation: Operation,
    inputs: readonly Part[],
    shapes: readonly Shape[],
    propagateDown?: readonly boolean[],
  ): Part[] {
    const outputs = shapes.map((shape) => ({ index: this.#shapes.push(shape) - 1, shape }));
    this.#steps.push({
      operation,
      inputs: inputs.map(({ index }) => index),
      outputs: outputs.map(({ index }) => index),
      ...(propagateDown === undefined ? {} : { propagateDown }),
    });
    return outputs;
  }

  /** Adds an operation with one output. */
  one(operation: Operation, inputs: readonly Part[], shape: Shape, propagateDown?: readonly boolean[]): Part {
    return this.add(operation, inputs, [shape], propagateDown)[0]!;
  }

  /**
   * The indices of the items that a selector selects: an input that the runner of the net supplies, for a given number of
   * items.
   */
  selected(selector: Part, count: number): Part {
    const indices = { index: this.#shapes.push([count]) - 1, shape: [count] };
    this.#selection = { selector: selector.index, indices: indices.index };
    return indices;
  }

  /** The same values in another shape. No operation is added if the shape is the same. */
  reshape(part: Part, shape: Shape): Part {
    if (showShape(part.shape) === showShape(shape)) return part;
    return this.one({ kind: 'reshape' }, [part], shape);
  }

  /** Adds zeros above and below, left and right of each plane. */
  surrounded(part: Part, pad: readonly [height: number, width: number]): Part {
    const [outer, channels, height, width] = part.shape as [number, number, number, number];
    return this.one(
      {
        kind: 'im2col',
        toImage: false,
        outer,
        channels,
        size: [height, width],
        kernel: [1, 1],
        stride: [1, 1],
        pad,
        dilation: [1, 1],
      },
      [part],
      [outer, channels, height + 2 * pad[0], width + 2 * pad[1]],
    );
  }

  /** Permutes the axes. */
  permute(part: Part, order: readonly number[]): Part {
    return this.one(
      { kind: 'permute', order },
      [part],
      order.map((axis) => part.shape[axis]!),
    );
  }

  /**
   * Repeats a value along an axis: first within one concat, then the result again, so that a large number needs few
   * operations.
   */
  repeat(part: Part, axis: number, times: number): Part {
    if (times === 1) return part;
    const joined = (parts: readonly Part[]) =>
      this.one(
        { kind: 'concat', axis },
        parts,
        part.shape.map((size, i) => (i === axis ? size * times : size)),
      );
    if (times <= MOST_AT_ONCE) return joined(Array<Part>(times).fill(part));
    const [whole, rest] = [Math.floor(times / MOST_AT_ONCE), times % MOST_AT_ONCE];
    const many = this.repeat(this.repeat(part, axis, MOST_AT_ONCE), axis, whole);
    return rest === 0 ? many : joined([many, this.repeat(part, axis, rest)]);
  }

  /** Divides a value into slices of size 1 along its first axis. */
  alongFirst(part: Part): Part[] {
    const [count = 1, ...rest] = part.shape;
    return this.add(
      { kind: 'slice', axis: 0 },
      [part],
      Array.from({ length: count }, () => [1, ...rest]),
    );
  }

  /** The sum of values of one shape. */
  sum(parts: readonly Part[]): Part {
    if (parts.length === 1) return parts[0]!;
    const coefficients = parts.map(() => 1);
    return this.one(
      { kind: 'eltwise', operation: 'sum', coefficients, stableProdGrad: true, relu: null },
      parts,
      parts[0]!.shape,
    );
  }

  /** The product of values of one shape. */
  product(parts: readonly Part[]): Part {
    const coefficients = parts.map(() => 1);
    return this.one(
      { kind: 'eltwise', operation: 'prod', coefficients, stableProdGrad: true, relu: null },
      parts,
      parts[0]!.shape,
    );
  }

  /** The layer with these values as its tops. */
  built(tops: readonly Part[]): Built {
    // Each top is made by the layer exactly once.
    const made = tops.map((top, i) =>
      top.index < this.bottoms.length || tops.indexOf(top) < i
        ? this.one({ kind: 'identity' }, [top], top.shape)
        : top,
    );
    const selection = this.#selection === undefined ? {} : { selection: this.#selection };
    return { steps: this.#steps, shapes: this.#shapes, made: made.map(({ index }) => index), ...selection };
  }
}
