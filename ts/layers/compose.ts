/** Layers that are exactly several operations: what is exact by rewriting needs no kernel of its own. */
import { type Shape, showShape } from '../base/shape.ts';
import type { Built, Step } from './layer.ts';
import type { Operation } from './operation.ts';

/** Something that the operations of one layer read or make. */
export interface Part {
  readonly index: number;
  readonly shape: Shape;
}

/** Copies that one concat joins. */
const MOST_AT_ONCE = 1024;

/** Collects the operations of one layer. */
export class Composition {
  readonly bottoms: readonly Part[];
  readonly #shapes: Shape[];
  readonly #steps: Step[] = [];
  #selection: { readonly selector: number; readonly indices: number } | undefined;

  /** @param shapes Of the layer's bottoms. */
  constructor(shapes: readonly Shape[]) {
    this.#shapes = [...shapes];
    this.bottoms = shapes.map((shape, index) => ({ index, shape }));
  }

  /** Adds an operation. @param propagateDown Whether a diff goes down to each input; default: to all. */
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

  /** Adds an operation of one output. */
  one(operation: Operation, inputs: readonly Part[], shape: Shape, propagateDown?: readonly boolean[]): Part {
    return this.add(operation, inputs, [shape], propagateDown)[0]!;
  }

  /** The indices of the items that a selector selects, so many: an input that whoever runs the net gives. */
  selected(selector: Part, count: number): Part {
    const indices = { index: this.#shapes.push([count]) - 1, shape: [count] };
    this.#selection = { selector: selector.index, indices: indices.index };
    return indices;
  }

  /** The same values in another shape; nothing where it has it. */
  reshape(part: Part, shape: Shape): Part {
    if (showShape(part.shape) === showShape(shape)) return part;
    return this.one({ kind: 'reshape' }, [part], shape);
  }

  /** Planes with so many zeros above and below, left and right of each. */
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

  /** Axes in another order. */
  permute(part: Part, order: readonly number[]): Part {
    return this.one(
      { kind: 'permute', order },
      [part],
      order.map((axis) => part.shape[axis]!),
    );
  }

  /** A part several times along an axis: some at once, then that several times, so that no number of them makes many operations. */
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

  /** A part in pieces of one along its first axis. */
  alongFirst(part: Part): Part[] {
    const [count = 1, ...rest] = part.shape;
    return this.add(
      { kind: 'slice', axis: 0 },
      [part],
      Array.from({ length: count }, () => [1, ...rest]),
    );
  }

  /** The plain sum of parts of one shape. */
  sum(parts: readonly Part[]): Part {
    if (parts.length === 1) return parts[0]!;
    const coefficients = parts.map(() => 1);
    return this.one(
      { kind: 'eltwise', operation: 'sum', coefficients, stableProdGrad: true, relu: null },
      parts,
      parts[0]!.shape,
    );
  }

  /** The product of parts of one shape. */
  product(parts: readonly Part[]): Part {
    const coefficients = parts.map(() => 1);
    return this.one(
      { kind: 'eltwise', operation: 'prod', coefficients, stableProdGrad: true, relu: null },
      parts,
      parts[0]!.shape,
    );
  }

  /** The layer, whose tops are these parts. */
  built(tops: readonly Part[]): Built {
    // A top is made by the layer, once.
    const made = tops.map((top, i) =>
      top.index < this.bottoms.length || tops.indexOf(top) < i
        ? this.one({ kind: 'identity' }, [top], top.shape)
        : top,
    );
    const selection = this.#selection === undefined ? {} : { selection: this.#selection };
    return { steps: this.#steps, shapes: this.#shapes, made: made.map(({ index }) => index), ...selection };
  }
}
