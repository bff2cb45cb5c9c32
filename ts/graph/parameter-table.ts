/** The parameters of a net: each layer's own, and those that layers share by `param { name }` (net.cpp, AppendParam). */

import type { CodeOf } from '../base/error-codes.ts';
import type { Position } from '../base/errors.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { fillerProblem } from '../caffe/fillers.ts';
import { positionOf } from '../caffe/message.ts';
import { type LayerParameter, withDefaults } from '../caffe/net-parameter.ts';
import { type BuildState, type LayerContext, layerError, shapeProblem } from '../layers/layer.ts';
import type { Filler, Parameter, ParameterId } from '../layers/operation.ts';

/** Collects the parameters of a whole net. */
export class ParameterTable {
  readonly all: Parameter[] = [];
  readonly #named = new Map<string, ParameterId>();
  /** Shared parameters whose multiplier a layer has specified. */
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
      fail(code: CodeOf<'graph'>, message: string, at?: string | Position): never {
        throw layerError(layer, code, message, at);
      },
      parameter(
        shape: Shape,
        filler: object | undefined,
        { statistic = false, mutable = false, unread = false } = {},
      ): ParameterId {
        const index = context.used++;
        const spec = layer.param?.[index];
        const shared = spec?.name === undefined || spec.name === '' ? undefined : table.#named.get(spec.name);
        if (shared !== undefined) {
          const owner = table.all[shared]!;
          const fits =
            spec!.share_mode === 'PERMISSIVE'
              ? elementCount(owner.shape) === elementCount(shape)
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
          ...(unread ? { unread } : {}),
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

  // net.cpp AppendParam: the first layer that specifies a multiplier decides. Others may only repeat it.
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
