/** A layer's rule and the context in which it builds the layer: values, parameters and errors. */

import type { CodeOf } from '../base/error-codes.ts';
import { GraphError, type Position } from '../base/errors.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import type { Operation, Pair, ParameterId } from './operation.ts';
import type { PriorFork } from './prior-forks.ts';

/** One layer while it is being built. `shapes` are the shapes of its bottoms. */
export interface LayerContext {
  readonly layer: LayerParameter;
  readonly state: BuildState;
  readonly shapes: readonly Shape[];
  readonly topCount: number;
  /**
   * Position of the second bottom's first pixel in the first bottom, by their coordinate maps; null if they have none
   * in common.
   */
  readonly offsetOfSecond?: () => Pair | null;
  /**
   * Adds the layer's next parameter, or shares one by `param { name }`. `statistic`: BatchNorm's, which never learns.
   * `unread`: the layer does not read it, so that a weights file may have it in any shape.
   */
  parameter(
    shape: Shape,
    filler: object | undefined,
    options?: { statistic?: boolean; mutable?: boolean; unread?: boolean },
  ): ParameterId;
  /** @param at The wrong field of the layer, or its position. */
  fail(code: CodeOf<'graph'>, message: string, at?: string | Position): never;
}

/** Refuses the current layer. */
export type Fail = (code: CodeOf<'graph'>, text: string, field?: string) => never;

/**
 * The error of a layer that cannot be built.
 * @param at Its wrong field, or its position.
 */
export function layerError(
  layer: LayerParameter,
  code: CodeOf<'graph'>,
  message: string,
  at?: string | Position,
): GraphError {
  const type = layer.type === undefined ? {} : { type: layer.type };
  return new GraphError(`graph/${code}`, { layer: layer.name ?? '', ...type, ...place(layer, at) }, message);
}

function place(layer: object, at?: string | Position) {
  const position = typeof at === 'object' ? at : positionOf(layer, at);
  return position === undefined ? {} : { position };
}

/** Settings of the net that influence how layers compute. */
export interface BuildState {
  readonly phase: 'TRAIN' | 'TEST';
  /** Every BatchNorm uses its global statistics, regardless of the phase and the layer. */
  readonly frozenBatchNorm: boolean;
  /** The training's forward passes before the net was built: layers that change with every pass count on from it. */
  readonly passesBefore: number;
  /** The net computes the diffs of all its blobs. */
  readonly forceBackward?: boolean;
  /** The types of the net's layers, by which forks with layers of the same name are told apart. */
  readonly types?: ReadonlySet<string>;
  /** The fork whose boxes the net's PriorBox layers have; undefined: SSD. */
  readonly priors?: PriorFork | undefined;
  /** The number of items that each Filter layer selects, by name. Default: all. */
  readonly selected?: Readonly<Record<string, number>>;
}

/** The sizes of the regions that a ScaleRoute selects; infinite: no bound. */
export interface Route {
  readonly low_scale: number;
  readonly high_scale: number;
}

/** The result of a layer: the operation and the shapes of its tops, or several operations, which compose.ts joins. */
export type Built =
  | {
      readonly operation: Operation;
      readonly tops: readonly Shape[];
      /** The top of which only the first rows are valid: those before the rows that are −1 throughout. */
      readonly rows?: number;
    }
  | {
      readonly steps: readonly Step[];
      /** The shapes of all values of the steps: the layer's bottoms first, then the results in order. */
      readonly shapes: readonly Shape[];
      /** The indices of the tops among them. */
      readonly made: readonly number[];
      /** As above. */
      readonly rows?: number;
      /** Its tops consist of the selected rows of its bottoms. */
      readonly route?: Route;
      /** The indices of items, which are an additional input of the net, and the bottom that selects them. */
      readonly selection?: { readonly selector: number; readonly indices: number };
    };

/** One of the operations of a layer. Inputs and outputs are indices into `shapes`. */
export interface Step {
  readonly operation: Operation;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Whether a diff goes down to each input; default: to all. */
  readonly propagateDown?: readonly boolean[];
}

/** The numbers of bottoms or tops that a layer accepts. */
export type Count = readonly [minimum: number, maximum: number];
export const ANY: Count = [1, Number.POSITIVE_INFINITY];

/** The rule that turns a layer of a type into operations. */
export interface LayerRule {
  readonly build: (context: LayerContext) => Built;
  /** Default: one. */
  readonly bottoms?: Count;
  /** Default: one. */
  readonly tops?: Count;
  /** Its first top counts in the net's loss, and gets a name if none is written (net.cpp, AutoTopBlobs). */
  readonly isLoss?: boolean;
  /** Each bottom has its own top, and all share the weights. */
  readonly eachBottom?: boolean;
}
/** Rules by Caffe's layer type. */
export type Layers = Readonly<Record<string, LayerRule>>;

/** Caffe counts a blob's elements in an int, and its axes up to kMaxBlobAxes (blob.hpp). */
const MAX_ELEMENTS = 2 ** 31 - 1;
const MAX_AXES = 32;

/** The reason why a blob cannot have a shape, by Caffe's own limits; null if it can. */
export function shapeProblem(shape: Shape): string | null {
  if (shape.length > MAX_AXES)
    return `would have ${shape.length} axes, but Caffe's blobs have up to ${MAX_AXES}`;
  return elementCount(shape) <= MAX_ELEMENTS
    ? null
    : `would be ${showShape(shape)}, over Caffe's limit of 2^31 − 1 values`;
}

/**
 * Refuses a top that exceeds the limits of a blob, for a layer whose construction depends on its size.
 * @param at The field that determines it.
 */
export function checkTop(context: LayerContext, top: Shape, at?: string | Position): void {
  const problem = shapeProblem(top);
  if (problem !== null) context.fail('too-large', `its top ${problem}`, at);
}

/** Factors a shape around `axis`: [outer, channels, inner]. */
export function around(shape: Shape, axis: number): { outer: number; channels: number; inner: number } {
  return {
    outer: elementCount(shape.slice(0, axis)),
    channels: shape[axis] ?? 1,
    inner: elementCount(shape.slice(axis + 1)),
  };
}

/** Makes a possibly negative axis nonnegative. */
export function canonicalAxis(
  context: LayerContext,
  axis: number,
  dimensions: number,
  name = 'axis',
): number {
  if (!Number.isInteger(axis) || axis < -dimensions || axis >= dimensions) {
    context.fail('axis', `${name} ${axis} does not exist in a bottom of ${dimensions} dimensions`);
  }
  return axis < 0 ? axis + dimensions : axis;
}
