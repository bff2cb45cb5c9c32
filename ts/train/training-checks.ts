/** Checks after a training was opened: whether its parts fit together, and what is probably not intended. */

import { GraphError, WeightsError } from '../base/errors.ts';
import { shellWord } from '../base/shell-words.ts';
import type { CheckedSolver } from '../caffe/check-solver.ts';
import type { DataSource } from '../data/source.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { WarningEvent } from './events.ts';
import { averageFile, parameterNames, type Resumed } from './snapshot.ts';
import { filesBeside, type ReadNet } from './solver-nets.ts';
import type { SolverTrainer } from './training-device.ts';

/**
 * Checks that histories fit the parameters, which are matched by their order.
 * @throws WeightsError
 */
export function checkSameNet(trainer: SolverTrainer, { extra, weights }: Resumed, snapshot: string): void {
  const wrote = extra?.parameters;
  if (!Array.isArray(wrote)) return;
  const own = parameterNames(trainer.learnable);
  const at = own.findIndex((name, i) => name !== wrote[i]);
  if (at < 0 && own.length === wrote.length) return;
  const text = (names: readonly string[]) => names[at < 0 ? own.length : at] ?? 'nothing';
  throw new WeightsError(
    'weights/other-net',
    { file: snapshot },
    `it belongs to another net: its history ${at < 0 ? own.length : at} belongs to ${text(wrote)}, but this net has ${text(own)} there; resume with the net that wrote it, or start with only its weights (--weights ${shellWord(weights)})`,
  );
}

/** @throws GraphError */
export function checkFed(trainer: SolverTrainer, source: DataSource): void {
  const unfed = Object.keys(trainer.inputs).find((name) => !Object.hasOwn(source.shapes, name));
  if (unfed !== undefined)
    throw new GraphError(
      'graph/unfed-input',
      {},
      `nothing gives the training net's input "${unfed}"; use a data layer, or give an iterator for it`,
    );
}

/** A test net with its data. */
interface TestedNet extends Pick<ReadNet, 'filtered' | 'state'> {
  readonly source: DataSource;
}

/**
 * Refuses a test net with learnable layers that the training net lacks: they would be tested with their fillers'
 * values.
 * @throws GraphError
 */
export function checkTrained({ filtered, state, source }: TestedNet, trainer: SolverTrainer): void {
  const trained = new Set(trainer.learnable.flatMap(({ places }) => places.map(({ layer }) => layer)));
  const { parameters } = graphFromCaffe(filtered, { phase: state.phase, inputShapes: source.shapes });
  const untrained = parameters.flatMap(({ places }) => places).find(({ layer }) => !trained.has(layer));
  if (untrained !== undefined)
    throw new GraphError(
      'graph/untrained-layer',
      { layer: untrained.layer },
      'the test net has this layer with parameters, but the training net does not, so nothing trains it; give both the same layer',
    );
}

/** The training, and the state from which it resumes. */
interface Opened {
  readonly trainer: SolverTrainer;
  readonly source: DataSource;
  readonly resumed: Resumed | null;
  readonly hasAverage: boolean;
}

/** Warnings about settings that work but are probably not intended. */
export function trainingWarnings(
  checked: CheckedSolver,
  file: string | undefined,
  { trainer, source, resumed, hasAverage }: Opened,
): Omit<WarningEvent, 'type'>[] {
  const { iter_size, snapshot, snapshot_after_train, max_iter, type, ema_decay } = checked.parameters;
  const warnings: Omit<WarningEvent, 'type'>[] = checked.warnings.map(({ code, message }) => ({
    code,
    message,
  }));
  for (const path of filesBeside(checked, file))
    warnings.push({
      code: 'solver/found-beside',
      message: `"${path}" is not in the working folder; using the one beside ${file}`,
    });
  const batch = Object.values(source.shapes)[0]?.[0] ?? 1;
  if (iter_size > 1 && trainer.batchNorms.some(({ statistics }) => statistics === 'batch'))
    warnings.push({
      code: 'solver/iter-size-batch-norm',
      message: `iter_size ${iter_size} does not make BatchNorm's batches larger: each pass uses the statistics of its own ${batch} samples`,
    });
  if (snapshot <= 0 && !snapshot_after_train)
    warnings.push({
      code: 'solver/no-snapshot',
      message: 'snapshot is 0 and snapshot_after_train false: no weights will be written',
    });
  if (resumed !== null && resumed.iteration >= max_iter)
    warnings.push({
      code: 'solver/nothing-left',
      message: `the snapshot has iteration ${resumed.iteration}, but max_iter is ${max_iter}: nothing is left to train; raise max_iter to continue`,
    });
  const wrote = resumed?.extra?.rule;
  if (wrote !== undefined && wrote !== type)
    warnings.push({
      code: 'solver/other-type',
      message: `the snapshot comes from a solver of type ${wrote}, this one has type ${type}: its history has another meaning; write type: "${wrote}", or start with only its weights (--weights ${shellWord(resumed!.weights)})`,
    });
  if (resumed !== null && resumed.extra === null)
    warnings.push({
      code: 'solver/no-data-position',
      message:
        'the snapshot lacks the position of the data (its .json is missing, as with snapshots of Caffe); the data begins from the start',
    });
  if (ema_decay > 0 && resumed !== null && !hasAverage)
    warnings.push({
      code: 'solver/no-average',
      message: `${averageFile(resumed.weights)} does not exist: the average starts again from the snapshot's weights`,
    });
  return warnings;
}
