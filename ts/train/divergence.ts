/** Detects that training has diverged, and finds the layer where it did. */
import { notFiniteBytes } from '../base/not-finite.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { Batch } from '../data/source.ts';
import type { TrainPrecision } from '../gradient/training-precision.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { DivergedEvent, OutputValue } from './events.ts';
import type { ReadNet } from './solver-nets.ts';
import type { TrainingDevice } from './training-device.ts';

/** −log(FLT_MIN): the SoftmaxWithLoss of a batch in which every true class has the probability 0. */
const PLATEAU = -Math.log(2 ** -126);
// With a large rate a single small batch may be that bad by chance; after five in a row training does not recover.
const PLATEAU_LENGTH = 5;
// A loss scale may sometimes be too large for a batch; if it always is, the net never learns.
const SKIPPED_LENGTH = 20;
/** Larger than any value in a net that learns. */
const EXPLODED = 1e6;

/** Watches the losses of a run. */
export class DivergenceWatch {
  #onPlateau = 0;
  #skipped = 0;

  /**
   * Returns what is wrong after an iteration; null if nothing is.
   * @param isSkipped Whether the update was skipped because its gradients are not finite.
   */
  check(outputs: readonly OutputValue[], loss: number, isSkipped = false): DivergedEvent['reason'] | null {
    if (Number.isNaN(loss)) return 'nan';
    if (!Number.isFinite(loss)) return 'infinite';
    const isPlateau = outputs.some(
      ({ lossWeight, values }) =>
        lossWeight !== 0 && values.some((value) => Math.abs(value - PLATEAU) < 0.01),
    );
    this.#onPlateau = isPlateau ? this.#onPlateau + 1 : 0;
    this.#skipped = isSkipped ? this.#skipped + 1 : 0;
    if (this.#skipped >= SKIPPED_LENGTH) return 'gradients';
    return this.#onPlateau >= PLATEAU_LENGTH ? 'plateau' : null;
  }
}

/** The layer where training diverged. */
export interface Culprit {
  readonly layer: string;
  /** Null if the layer's weights are the cause. */
  readonly blob: string | null;
  /** E.g. `values reach 3.2e+9`. */
  readonly what: string;
}

/** The first layer with non-finite weights; the search yields to the event loop. */
export async function firstNotFinite({ layers }: Pick<WeightsFile, 'layers'>): Promise<Culprit | null> {
  for (const { name, blobs } of layers)
    for (const [i, { dtype, bytes }] of blobs.entries())
      if ((await notFiniteBytes(bytes, dtype)) !== null)
        return { layer: name, blob: null, what: `blob ${i} of its weights is not finite` };
  return null;
}

/**
 * The first layer whose weights or values are not finite, else the first one whose values exploded. The net is run once
 * more, layer by layer, with every blob as an output.
 * @param device Loads and runs a TRAIN net.
 * @param precision The precision of the training.
 * @param weights The weights at the time of the error; a pass with a non-finite loss does not change them.
 * @returns Null if nothing is found, or if there is not enough memory for the search.
 */
export async function findCulprit(
  device: Pick<TrainingDevice, 'load'>,
  { net, state, filtered }: ReadNet,
  weights: WeightsFile,
  batch: Batch,
  inputShapes: Readonly<Record<string, readonly number[]>>,
  precision: TrainPrecision = 'float32',
): Promise<Culprit | null> {
  // BatchNorm's statistics already include the bad batch; a TRAIN net does not read them.
  const learned = weights.layers.filter(({ type }) => type !== 'BatchNorm');
  const inWeights = await firstNotFinite({ layers: learned });
  if (inWeights !== null) return inWeights;
  const graph = graphFromCaffe(filtered, { phase: 'TRAIN', inputShapes });
  const values = graph.values.map(({ blob, layer }) => ({ blob, layer, name: `${blob}@${layer}` }));
  const { level, stages } = state;
  using model = await device.load({
    model: net,
    phase: 'TRAIN',
    level,
    stages,
    weights,
    inputShapes,
    precision,
    outputs: values.map(({ name }) => name),
  });
  const outputs = await model.run(batch);
  let exploded: Culprit | null = null;
  for (const { blob, layer, name } of values) {
    const { data } = outputs[name]!;
    const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (!Number.isFinite(largest)) return { layer, blob, what: 'values are not finite' };
    if (largest > EXPLODED) exploded ??= { layer, blob, what: `values reach ${largest.toExponential(1)}` };
  }
  return exploded;
}

/**
 * The message of the event.
 * @param processes The processes that diverged, for the reason `other`.
 */
export function divergenceMessage(
  iteration: number,
  reason: DivergedEvent['reason'],
  loss: number,
  culprit: Culprit | null,
  lastSnapshot: string | null,
  processes: readonly number[] = [],
): string {
  const loss_is = {
    weights: 'the weights are not finite',
    other: `training diverged in process ${processes.join(', ')}, whose message says where`,
    nan: 'the loss is not a number',
    infinite: 'the loss is infinite',
    gradients: `the gradients of ${SKIPPED_LENGTH} updates in a row are not finite`,
    plateau: `the loss stays at ${loss.toFixed(4)} = −log(FLT_MIN): every true class has the probability 0`,
  }[reason];
  const where =
    culprit === null
      ? ''
      : `; first bad layer "${culprit.layer}"${culprit.blob === null ? '' : ` (blob "${culprit.blob}")`}: ${culprit.what}`;
  const kept = lastSnapshot === null ? 'there is no snapshot' : `the last snapshot is ${lastSnapshot}`;
  const advice =
    reason === 'gradients'
      ? 'Lower the loss scale (--loss-scale), or train in bfloat16'
      : 'Lower base_lr, warm up, or clip gradients';
  return `iteration ${iteration}: ${loss_is}${where}; ${kept}. ${advice}`;
}
