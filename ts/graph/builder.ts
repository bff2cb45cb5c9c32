/** What the layer rules build with: values, parameters, refusals, all tied to the layer at hand. */
import { fillerProblem } from '../caffe/fillers.ts';
import { positionOf } from '../caffe/message.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { GraphError, type Position } from '../errors.ts';
import type { Filler, Operation, Parameter, ParameterId } from './graph.ts';

/** The dimensions of a blob: N×C×H×W, or fewer. */
export type Shape = readonly number[];

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
  fail(code: string, message: string, at?: string | Position): never;
}

/** What decides how layers compute, besides what they say. */
export interface BuildState {
  readonly phase: 'TRAIN' | 'TEST';
  /** Every BatchNorm uses its global statistics, whatever phase and layer say. */
  readonly frozenBatchNorm: boolean;
}

/** A layer's result: the operation and the shapes of its tops. */
export interface Built {
  readonly operation: Operation;
  readonly tops: readonly Shape[];
}

/** Caffe counts a blob's elements in an int, and its axes up to kMaxBlobAxes (blob.hpp). */
const MAX_ELEMENTS = 2 ** 31 - 1;
const MAX_AXES = 32;

/** Why a blob cannot have a shape, by Caffe's own limits; null: it can. */
export function shapeProblem(shape: Shape): string | null {
  if (shape.length > MAX_AXES) return `would have ${shape.length} axes, Caffe's blobs have up to ${MAX_AXES}`;
  return sizeOf(shape) <= MAX_ELEMENTS
    ? null
    : `would be ${showShape(shape)}, over Caffe's limit of 2^31 − 1 values`;
}

export const sizeOf = (shape: Shape): number => shape.reduce((product, dim) => product * dim, 1);
export const showShape = (shape: Shape): string => (shape.length === 0 ? 'a scalar' : shape.join('×'));

/** Factors a shape around `axis`: [outer, channels, inner]. */
export function around(shape: Shape, axis: number): { outer: number; channels: number; inner: number } {
  return {
    outer: sizeOf(shape.slice(0, axis)),
    channels: shape[axis] ?? 1,
    inner: sizeOf(shape.slice(axis + 1)),
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

/** Collects parameters over a whole net. */
export class ParameterTable {
  readonly all: Parameter[] = [];
  readonly #named = new Map<string, ParameterId>();
  /** Shared parameters whose multiplier a layer has written. */
  readonly #written = { lr_mult: new Set<ParameterId>(), decay_mult: new Set<ParameterId>() };

  context(
    layer: LayerParameter,
    state: BuildState,
    shapes: readonly Shape[],
  ): LayerContext & { used: number } {
    const name = layer.name ?? '';
    const table = this;
    const context = {
      layer,
      state,
      shapes,
      topCount: layer.top?.length ?? 0,
      used: 0,
      fail(code: string, message: string, at?: string | Position): never {
        throw new GraphError(
          `graph/${code}`,
          { layer: name, ...(layer.type === undefined ? {} : { type: layer.type }), ...place(layer, at) },
          message,
        );
      },
      parameter(
        shape: Shape,
        filler: object | undefined,
        { statistic = false, mutable = false } = {},
      ): ParameterId {
        const index = context.used++;
        const spec = layer.param?.[index];
        const shared = spec?.name === undefined || spec.name === '' ? undefined : table.#named.get(spec.name);
        if (shared !== undefined) {
          const owner = table.all[shared]!;
          const fits =
            spec!.share_mode === 'PERMISSIVE'
              ? sizeOf(owner.shape) === sizeOf(shape)
              : showShape(owner.shape) === showShape(shape);
          if (!fits)
            context.fail(
              'shared-shape',
              `shares "${spec!.name}" of layer "${owner.layer}", which is ${showShape(owner.shape)}, but needs ${showShape(shape)}`,
            );
          table.#share(shared, spec!, { layer: name, index }, context.fail);
          return shared;
        }
        const problem = shapeProblem(shape);
        if (problem !== null) context.fail('too-large', `its blob ${index} ${problem}`);
        const written = withDefaults<Filler>('FillerParameter', filler);
        const wrong = fillerProblem(written, shape);
        if (wrong !== null) context.fail('filler', wrong.text, positionOf(filler, wrong.field));
        table.all.push({
          layer: name,
          index,
          shape,
          filler: written,
          mutable,
          lrMult: statistic ? 0 : (spec?.lr_mult ?? 1),
          decayMult: spec?.decay_mult ?? 1,
          places: [{ layer: name, index }],
        });
        const id = table.all.length - 1;
        if (spec?.name) {
          table.#named.set(spec.name, id);
          for (const field of MULTIPLIERS) if (spec[field] !== undefined) table.#written[field].add(id);
        }
        return id;
      },
    };
    return context;
  }

  // net.cpp AppendParam: the first layer that writes a multiplier decides it, the others may only repeat it.
  #share(
    id: ParameterId,
    spec: ParamSpec,
    place: { layer: string; index: number },
    fail: LayerContext['fail'],
  ): void {
    const owner = this.all[id]!;
    let { lrMult, decayMult } = owner;
    for (const field of MULTIPLIERS) {
      const value = spec[field];
      if (value === undefined) continue;
      const known = field === 'lr_mult' ? lrMult : decayMult;
      if (this.#written[field].has(id) && value !== known)
        fail(
          'shared-multiplier',
          `gives the shared "${spec.name}" the ${field} ${value}, another layer ${known}; write it once, or the same`,
          'param',
        );
      this.#written[field].add(id);
      if (field === 'lr_mult') lrMult = value;
      else decayMult = value;
    }
    this.all[id] = { ...owner, lrMult, decayMult, places: [...owner.places, place] };
  }
}

type ParamSpec = NonNullable<LayerParameter['param']>[number];
const MULTIPLIERS = ['lr_mult', 'decay_mult'] as const;

function place(layer: object, at?: string | Position) {
  const position = typeof at === 'object' ? at : positionOf(layer, at);
  return position === undefined ? {} : { position };
}
