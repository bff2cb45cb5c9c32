/** The rules that are also checked before a training: nets that cannot learn, BatchNorm that cannot work. */
import { positionOf } from '../../caffe/message.ts';
import { labelFaults, labelRange } from '../../data/label-faults.ts';
import {
  type Fault,
  type FaultKind,
  faultText,
  groupFaults,
  type LearningNet,
  learningFaults,
} from '../../graph/learning-faults.ts';
import type { Found, LintState, Rule } from './rule.ts';

const asLearning = ({
  phase,
  layers,
  shapeOf,
}: Pick<LintState, 'phase' | 'layers' | 'shapeOf'>): LearningNet => ({
  ...{ phase, layers, shapeOf, frozenBatchNorm: false, processes: 1 },
  hasWeights: () => false,
});

const found = (fault: Fault): Found => ({
  position: fault.layer === undefined ? undefined : positionOf(fault.layer, fault.field),
  message: faultText(fault),
  ...(fault.level === undefined ? {} : { level: fault.level }),
  ...(fault.fix === undefined ? {} : { fix: fault.fix }),
});

const textOf = ({ name, level, finds, why, fix }: Omit<FaultKind, 'check'>) => ({
  name,
  level,
  finds,
  why,
  fix,
});

const faultRules = learningFaults.map((kind): Rule => {
  // A net without a loss counts as one for training only if a solver names it.
  if (kind.name === 'no-loss')
    return {
      ...textOf(kind),
      on: 'solver',
      check: ({ solver, trainLayers }) => {
        const layers = trainLayers();
        if (layers === undefined) return [];
        const faults = [...kind.check(asLearning({ phase: 'TRAIN', layers, shapeOf: () => undefined }))];
        return faults.map((fault) => ({ ...found(fault), position: positionOf(solver, 'net') }));
      },
    };
  return {
    ...textOf(kind),
    on: 'net',
    check: ({ states }) =>
      states
        .filter(({ trains }) => trains || kind.inTests)
        .flatMap((state) => groupFaults(kind.check(asLearning(state))).map(found)),
  };
});

const labelRule: Rule = {
  ...textOf(labelRange),
  on: 'net',
  check: ({ states, find }) => states.flatMap((state) => labelFaults(asLearning(state), find).map(found)),
};

export const learningRules: readonly Rule[] = [...faultRules, labelRule];
