/** Checks before training: finds nets that cannot learn, and missing statistics. */

import { formatPosition, GraphError } from '../base/errors.ts';
import type { Warning } from '../base/warn.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import { positionOf } from '../caffe/message.ts';
import { labelFaults, labelRange } from '../data/label-faults.ts';
import { labelsAhead } from '../data/labels-ahead.ts';
import { emptyStatistics } from '../device/batch-norm-modes.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import {
  type Fault,
  type FaultKind,
  faultText,
  groupFaults,
  type LearningNet,
  learningFaults,
} from '../graph/learning-faults.ts';
import type { ReadNet } from './solver-nets.ts';

export interface LearningCheck {
  readonly inputShapes: Readonly<Record<string, readonly number[]>>;
  readonly weights: WeightsFile | null;
  readonly frozenBatchNorm: boolean;
  /** The number of processes that share BatchNorm's statistics. */
  readonly processes: number;
}

/**
 * Checks the first labels of a net's data, in its phase.
 * @throws GraphError `net/label-range` if one of them is not a class
 */
export async function checkLabels(
  { filtered, state }: Pick<ReadNet, 'filtered' | 'state'>,
  inputShapes: LearningCheck['inputShapes'],
  find: (path: string) => string | undefined,
): Promise<void> {
  const { layer: layers = [] } = filtered;
  const { blobs, values } = graphFromCaffe(filtered, { phase: state.phase, inputShapes });
  const shapeOf = (blob: string) => values[blobs.get(blob) ?? -1]?.shape;
  const [fault] = labelFaults({ layers, shapeOf }, find, await labelsAhead(layers, find));
  if (fault !== undefined) throw refusal(labelRange, fault);
}

/**
 * @returns Warnings about layers that can hardly learn.
 * @throws GraphError for layers that cannot learn at all
 */
export function checkLearning(
  { filtered, state }: Pick<ReadNet, 'filtered' | 'state'>,
  { inputShapes, weights, frozenBatchNorm, processes }: LearningCheck,
): Warning[] {
  const { blobs, values } = graphFromCaffe(filtered, { phase: state.phase, inputShapes, frozenBatchNorm });
  const given = new Set(weights?.layers.filter(({ blobs: own }) => own.length > 0).map(({ name }) => name));
  const net: LearningNet = {
    ...{ phase: state.phase, layers: filtered.layer ?? [], frozenBatchNorm, processes },
    hasWeights: (layer) => given.has(layer),
    shapeOf: (blob) => values[blobs.get(blob) ?? -1]?.shape,
  };
  const warnings: Warning[] = [];
  for (const kind of learningFaults)
    for (const fault of groupFaults(kind.check(net))) {
      if ((fault.level ?? kind.level) === 'error') throw refusal(kind, fault);
      const position = fault.layer === undefined ? undefined : positionOf(fault.layer, fault.field);
      warnings.push({
        code: `net/${kind.name}`,
        message: `${position === undefined ? '' : `${formatPosition(position)}: `}${faultText(fault)}; ${fault.fix ?? kind.fix}`,
      });
    }
  return [...warnings, ...emptyStatistics(filtered, weights, { phase: state.phase, frozenBatchNorm })];
}

function refusal(kind: Pick<FaultKind, 'name' | 'fix'>, { layer, field, message, fix }: Fault): GraphError {
  const position = layer === undefined ? undefined : positionOf(layer, field);
  return new GraphError(
    `net/${kind.name}`,
    {
      ...(layer?.name === undefined ? {} : { layer: layer.name }),
      ...(layer?.type === undefined ? {} : { type: layer.type }),
      ...(position === undefined ? {} : { position }),
    },
    `${layer === undefined ? 'the net ' : ''}${message}; ${fix ?? kind.fix}`,
  );
}
