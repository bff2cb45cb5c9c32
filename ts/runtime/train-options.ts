/** Whether a trainer can be opened as asked, and the history that it begins with. */
import { ArgumentError } from '../errors.ts';
import type { ParameterData } from '../program/program.ts';
import type { LoweredTraining } from './lower-training.ts';
import { elementCount } from './tensor.ts';
import type { TrainOptions } from './trainer.ts';

const TYPES = ['SGD', 'Nesterov', 'AdaGrad', 'RMSProp', 'AdaDelta', 'Adam'];

/** @throws ArgumentError */
export function checkTrainOptions({ update, seed, history, diffs }: Omit<TrainOptions, 'model'>): void {
  if (seed !== undefined && !Number.isInteger(seed)) throw new ArgumentError('seed', 'an integer', seed);
  if (update === null) {
    if (history !== undefined) throw new ArgumentError('history', 'none where update is null', history);
    return;
  }
  if (diffs !== undefined) throw new ArgumentError('diffs', 'none where there is an update', diffs);
  if (typeof update !== 'object') throw new ArgumentError('update', 'an UpdateRule or null', update);
  if (!TYPES.includes(update.type)) throw new ArgumentError('update.type', TYPES.join(', '), update.type);
  for (const field of ['momentum', 'momentum2', 'delta', 'rms_decay', 'weight_decay'] as const)
    if (!Number.isFinite(update[field]))
      throw new ArgumentError(`update.${field}`, 'a number', update[field]);
  const { clip_gradients, iter_size, regularization_type } = update;
  if (clip_gradients !== null && !(clip_gradients >= 0))
    throw new ArgumentError('update.clip_gradients', 'a number of at least 0, or null', clip_gradients);
  if (!(Number.isInteger(iter_size) && iter_size >= 1))
    throw new ArgumentError('update.iter_size', 'an integer of at least 1', iter_size);
  if (regularization_type !== 'L1' && regularization_type !== 'L2')
    throw new ArgumentError('update.regularization_type', '"L1" or "L2"', regularization_type);
}

/** The parameters' bytes with the history of a .solverstate in its place. @throws ArgumentError where it does not fit */
export function withHistory(
  data: readonly (ParameterData | null)[],
  { learnable, history }: Pick<LoweredTraining, 'learnable' | 'history'>,
  given: TrainOptions['history'],
): (ParameterData | null)[] {
  const result = [...data];
  if (given === undefined) return result;
  const slots = history.find((each) => each !== null)?.length ?? 1;
  if (given.length !== slots * learnable.length)
    throw new ArgumentError(
      'history',
      `${slots * learnable.length} arrays, ${slots} for each of the net's ${learnable.length} learnable blobs`,
      `${given.length}`,
    );
  given.forEach((values, i) => {
    const { layer, index, shape } = learnable[i % learnable.length]!;
    if (!(values instanceof Float32Array) || values.length !== elementCount(shape))
      throw new ArgumentError(
        `the history of layer "${layer}", blob ${index}`,
        `a Float32Array of ${elementCount(shape)} values`,
        values,
      );
    const id = history[i % learnable.length]?.[Math.floor(i / learnable.length)];
    if (id === undefined) return;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    result[id] = { bytes, dtype: 'float32', channelScale: null };
  });
  return result;
}
