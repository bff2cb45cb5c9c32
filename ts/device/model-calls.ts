/** The arguments and results of a model's methods, and their checks. */
import { boolean, instance, integer, readable, record, signal, string } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { rangeRows } from '../graph/net-between.ts';
import { DeviceBuffer } from './buffer.ts';
import { newWeights } from './new-weights.ts';
import type { RunMode } from './runner.ts';
import type { Tensor } from './tensor.ts';

export interface RunOptions {
  /**
   * Cancels the run: the promise rejects with the signal's reason, and the device stops before the next operation. A GPU
   * runs a net as one graph: a run that has not begun is not started; otherwise its result is discarded.
   */
  readonly signal?: AbortSignal;
  /**
   * Buffers that receive outputs, by name: float32, with the size of the output. `run` does not return these outputs and
   * does not check them for non-finite values.
   */
  readonly outputs?: Readonly<Record<string, DeviceBuffer>>;
  /**
   * With false, arrays are not copied at the call but read in place when the run starts, so they belong to the run until its
   * promise settles. If you modify them earlier, the result is that of either content or of a mixture; if you transfer them
   * (`postMessage`, `structuredClone`), the process may crash. Aborting the run and disposing the model or the device are
   * safe: the promise settles only when nothing reads the arrays any more. Default true.
   */
  readonly copyInputs?: boolean;
  /**
   * Runs only a part of the net, like pycaffe's forward(start=, end=): the layers from this one on that the outputs need.
   * The inputs are the blobs that these layers read from earlier ones. The part is a separate net with a copy of its
   * weights, which is loaded when it first runs and then kept; nothing is fused across its ends. Default: the net's first
   * layer.
   */
  readonly start?: string;
  /** The last layer of the part; the run returns its tops. Default: the net's last layer, with the net's outputs. */
  readonly end?: string;
}

/** Options of a run, and whether each operation is timed. */
export type Submission = RunOptions & Pick<RunMode, 'profile'>;

/** The blobs that a model returns, by name. */
export type Outputs<Name extends string = string> = Record<Name, Tensor>;

const runOptions = options<RunOptions>({
  signal: optional(signal, 'none', "Aborts the run; the promise rejects with the signal's reason."),
  outputs: optional(
    record(instance('a DeviceBuffer', DeviceBuffer)),
    'none',
    'Buffers that receive outputs, by name.',
  ),
  copyInputs: optional(
    boolean,
    'true',
    'false reads arrays in place; do not change them until the promise settles.',
  ),
  ...rangeRows,
});
const inputsRow = required(readable, 'An array for each input blob, by name.');

export const MODEL_RUN = signature('model.run', {
  inputs: inputsRow,
  options: optional(runOptions, 'none', 'How to run the net.'),
});
export const MODEL_TIME = signature('model.time', {
  inputs: inputsRow,
  options: optional(runOptions, 'none', 'How to run the net.'),
});
export const MODEL_KEEP = signature('model.keep', { batch: required(integer(1), 'The batch size.') });
export const MODEL_SKIP_RUNS = signature('model.skipRuns', {
  count: required(integer(0), 'The number of runs.'),
});
export const MODEL_PARAMETER = signature('model.parameter', {
  layer: required(string, 'The name of the layer.'),
  index: required(integer(0), 'The index of the blob.'),
});
export const MODEL_SET_WEIGHTS = signature('model.setWeights', {
  weights: required(newWeights, 'New blobs by layer, or a weights file.'),
});
