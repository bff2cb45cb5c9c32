/** A layer's rule, and what it builds with: values, parameters, refusals, all tied to the layer at hand. */

import type { CodeOf } from '../base/error-codes.ts';
import { GraphError, type Position } from '../base/errors.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import type { Operation, ParameterId } from './operation.ts';

/** One layer while it is being built. `shapes` are its bottoms'. */
export interface LayerContext {
  readonly layer: LayerParameter;
  readonly state: BuildState;
  readonly shapes: readonly Shape[];
  readonly topCount: number;
  /** Adds (or, by `param { name }`, shares) the layer's next parameter. `statistic`: BatchNorm's, which never learns. */
  parameter(
    shape: Shape,
    filler: object | undefined,
    options?: { statistic?: boolean; mutable?: boolean },
  ): ParameterId;
  /** @param at The layer's field that is wrong, or its place. */
  fail(code: CodeOf<'graph'>, message: string, at?: string | Position): never;
}

/** Refuses the layer at hand. */
export type Fail = (code: CodeOf<'graph'>, text: string, field?: string) => never;

/** Why a layer cannot be built. @param at Its field that is wrong, or its place. */
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

/** What decides how layers compute, besides what they say. */
export interface BuildState {
  readonly phase: 'TRAIN' | 'TEST';
  /** Every BatchNorm uses its global statistics, whatever phase and layer say. */
  readonly frozenBatchNorm: boolean;
  /** The net asks for the diffs of all its blobs. */
  readonly forceBackward?: boolean;
  /** How many items Filter layers select, by name. Default: all. */
  readonly selected?: Readonly<Record<string, number>>;
}

/** The sizes of the regions that a ScaleRoute takes; infinite: no bound. */
export interface Route {
  readonly low_scale: number;
  readonly high_scale: number;
}

/** A layer's result: the operation and the shapes of its tops; or several operations, which compose.ts puts together. */
export type Built =
  | {
      readonly operation: Operation;
      readonly tops: readonly Shape[];
      /** The top of which only the first rows mean something: those up to the last that is not −1 throughout. */
      readonly rows?: number;
    }
  | {
      readonly steps: readonly Step[];
      /** Of what the steps read and make: the layer's bottoms first, then in the order in which it is made. */
      readonly shapes: readonly Shape[];
      /** Which of them are the tops. */
      readonly made: readonly number[];
      /** As above. */
      readonly rows?: number;
      /** Its tops are the rows of its bottoms that it takes. */
      readonly route?: Route;
      /** Indices of items, an input beside the net's own, and the bottom that selects them. */
      readonly selection?: { readonly selector: number; readonly indices: number };
    };

/** One of the operations that a layer becomes; inputs and outputs are indices into `shapes`. */
export interface Step {
  readonly operation: Operation;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Whether a diff goes down to each input; default: to all. */
  readonly propagateDown?: readonly boolean[];
}

/** How many bottoms or tops a layer takes. */
export type Count = readonly [minimum: number, maximum: number];
export const ANY: Count = [1, Number.POSITIVE_INFINITY];

/** How a layer type becomes an operation. */
export interface LayerRule {
  readonly build: (context: LayerContext) => Built;
  /** Default: one. */
  readonly bottoms?: Count;
  /** Default: one. */
  readonly tops?: Count;
  /** Its first top counts in the net's loss, and has a name where none is written (net.cpp, AutoTopBlobs). */
  readonly isLoss?: boolean;
  /** Each bottom has a top of its own, all with the same weights. */
  readonly eachBottom?: boolean;
}
/** Rules by Caffe's layer type. */
export type Layers = Readonly<Record<string, LayerRule>>;

/** Caffe counts a blob's elements in an int, and its axes up to kMaxBlobAxes (blob.hpp). */
const MAX_ELEMENTS = 2 ** 31 - 1;
const MAX_AXES = 32;

/** Why a blob cannot have a shape, by Caffe's own limits; null: it can. */
export function shapeProblem(shape: Shape): string | null {
  if (shape.length > MAX_AXES)
    return `would have ${shape.length} axes, but Caffe's blobs have up to ${MAX_AXES}`;
  return elementCount(shape) <= MAX_ELEMENTS
    ? null
    : `would be ${showShape(shape)}, over Caffe's limit of 2^31 − 1 values`;
}

/** Refuses a top that no blob can be: for a layer that counts its values as it is built. @param at The field that makes it. */
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

/** A possibly negative axis made canonical. */
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
