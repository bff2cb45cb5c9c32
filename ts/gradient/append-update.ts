/** The last operation of a training step: the solver's update from the diffs. */
import type { ParameterRecipe } from '../compile/lower.ts';
import type {
  Program,
  ProgramOperation,
  ProgramParameter,
  ProgramParameterId,
  TensorId,
} from '../operations/program.ts';

/** The fields of SolverParameter that the update itself reads. */
export interface UpdateRule {
  readonly type: 'SGD' | 'Nesterov' | 'AdaGrad' | 'RMSProp' | 'AdaDelta' | 'Adam' | 'AdamW' | 'LARS';
  /** Default 0. */
  readonly momentum?: number;
  /** Adam's second momentum. Default 0.999. */
  readonly momentum2?: number;
  /** Of AdaGrad, RMSProp, AdaDelta and Adam. Default 1e-8. */
  readonly delta?: number;
  /** Default 0.99. */
  readonly rms_decay?: number;
  /** The largest allowed L2 norm of all diffs together; null, the default: any. */
  readonly clip_gradients?: number | null;
  /** The number of passes per update. Default 1. */
  readonly iter_size?: number;
  /** Default 0. */
  readonly weight_decay?: number;
  /** Default L2. */
  readonly regularization_type?: 'L1' | 'L2';
  /**
   * The momentum of SGD. `caffe` (the default): momentum · v + rate · g. `dampened`: momentum · v + (1 − momentum) · g,
   * multiplied by the rate when w changes, as in Torch's optim.sgd and CNTK. At a constant rate this equals `caffe` with
   * rate · (1 − momentum).
   */
  readonly momentum_convention?: 'caffe' | 'dampened';
  /** LARS's trust coefficient. Default 0.001. */
  readonly lars_trust?: number;
  /** Keeps an average of the weights: ema_decay · average + (1 − ema_decay) · w after each update. Default 0: none. */
  readonly ema_decay?: number;
}

type Extension = 'momentum_convention' | 'lars_trust' | 'ema_decay';

/** A rule with all of Caffe's fields. */
export type CompleteUpdateRule = Required<Omit<UpdateRule, Extension>> & Pick<UpdateRule, Extension>;

/** A blob of the update. In Caffe's order these are all blobs of the net, including BatchNorm's. */
export interface Updated {
  readonly parameter: ProgramParameterId;
  readonly lrMult: number;
  readonly decayMult: number;
  /** Whether it starts with a history other than 0. */
  readonly hasHistory: boolean;
}

type Kind = Extract<ProgramOperation, { kind: 'update' }>;
const RULES: Readonly<Record<CompleteUpdateRule['type'], Kind['rule']>> = {
  SGD: 'sgd',
  Nesterov: 'nesterov',
  AdaGrad: 'adagrad',
  RMSProp: 'rmsprop',
  AdaDelta: 'adadelta',
  Adam: 'adam',
  AdamW: 'adamw',
  LARS: 'lars',
};

/** The number of values that a rule stores for each value of a parameter. */
export const historySlots = ({ type }: Pick<CompleteUpdateRule, 'type'>): number =>
  type === 'Adam' || type === 'AdamW' || type === 'AdaDelta' ? 2 : 1;

/**
 * Appends the update, its schedule input and its state.
 * @param losses If one is not finite, nothing is updated.
 * @param checksDiffs Also update nothing if a diff is not finite; `skipped` then reports it.
 * @returns `history[i]` are the slots of `updated[i]`, or null if it always stays 0: with SGD and Nesterov, for a blob
 * with lr_mult 0 and no diff, such as BatchNorm's or a frozen layer's
 */
export function appendUpdate(
  { program, recipes }: { readonly program: Program; readonly recipes: readonly ParameterRecipe[] },
  parameterDiffs: ReadonlyMap<ProgramParameterId, TensorId>,
  updated: readonly Updated[],
  rule: CompleteUpdateRule,
  losses: readonly TensorId[],
  { checksDiffs }: { readonly checksDiffs: boolean },
): {
  readonly program: Program;
  readonly recipes: readonly ParameterRecipe[];
  readonly history: readonly (readonly ProgramParameterId[] | null)[];
  /** The average of each of `updated`; null: the parameter itself, because it does not learn. Empty if none is kept. */
  readonly averages: readonly (ProgramParameterId | null)[];
  /** The index of the program's output that is 1 if diffs were not finite; null: they are not checked. */
  readonly skipped: number | null;
} {
  const parameters: ProgramParameter[] = [...program.parameters];
  const moreRecipes = [...recipes];
  const addLike = (id: ProgramParameterId, what: string): ProgramParameterId => {
    moreRecipes.push({ kind: 'zeros' });
    const { name, shape } = program.parameters[id]!;
    return parameters.push({ name: `${name} ${what}`, shape, mutable: true }) - 1;
  };
  const isPlainRule = rule.type === 'SGD' || rule.type === 'Nesterov' || rule.type === 'LARS';
  const { ema_decay: averageDecay = 0 } = rule;
  const history = updated.map(({ parameter, lrMult, hasHistory }) =>
    isPlainRule && lrMult === 0 && !hasHistory && !parameterDiffs.has(parameter)
      ? null
      : Array.from({ length: historySlots(rule) }, (_, slot) => addLike(parameter, `history ${slot}`)),
  );
  const averages = updated.map(({ parameter, lrMult }, i) => {
    if (averageDecay === 0 || lrMult === 0 || history[i] === null) return null;
    const id = addLike(parameter, 'average');
    // Its initial value is that of the parameter.
    moreRecipes[id] = moreRecipes[parameter]!;
    return id;
  });
  const schedule = program.tensors.length;
  const skipped = checksDiffs ? [schedule + 1] : [];
  const diffs: TensorId[] = [];
  const list: Kind['parameters'][number][] = [];
  // parameter_layer.hpp: its top shares the blob's diff. Each pass overwrites it, so only the last pass counts.
  const overwritten = new Set(
    program.operations.flatMap((operation) => (operation.kind === 'parameter' ? [operation.blob] : [])),
  );
  for (const [i, { parameter, lrMult, decayMult }] of updated.entries()) {
    const slots = history[i]!;
    if (slots === null) continue;
    const diff = parameterDiffs.get(parameter);
    const accumulator =
      rule.iter_size > 1 && diff !== undefined && !overwritten.has(parameter)
        ? addLike(parameter, 'accumulated diff')
        : null;
    diffs.push(diff ?? -1);
    list.push({ parameter, history: slots, accumulator, average: averages[i]!, lrMult, decayMult });
    // A history other than 0 changes even a blob with rate 0, and every rule writes what it lists.
    parameters[parameter] = { ...parameters[parameter]!, mutable: true };
  }
  const update: ProgramOperation = {
    kind: 'update',
    layer: 'update',
    rule: RULES[rule.type],
    momentum: rule.momentum,
    momentum2: rule.momentum2,
    dampened: rule.momentum_convention === 'dampened',
    trust: rule.lars_trust ?? 0.001,
    averageDecay,
    delta: rule.delta,
    rmsDecay: rule.rms_decay,
    clipGradients: rule.clip_gradients,
    iterSize: rule.iter_size,
    weightDecay: rule.weight_decay,
    regularization: rule.regularization_type,
    parameters: list,
    inputs: [schedule, ...diffs, ...losses],
    outputs: skipped,
  };
  return {
    program: {
      ...program,
      tensors: [
        ...program.tensors,
        { name: 'schedule', shape: [5] },
        ...skipped.map(() => ({ name: 'skipped', shape: [1] })),
      ],
      parameters,
      operations: [...program.operations, update],
      inputs: [...program.inputs, schedule],
      outputs: [...program.outputs, ...skipped],
    },
    recipes: moreRecipes,
    history,
    averages: averageDecay === 0 ? [] : averages,
    skipped: checksDiffs ? program.outputs.length : null,
  };
}
