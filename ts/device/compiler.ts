/**
 * The single path from a net to something that runs: read → lower → weights → plan → check → compile. `load` and `train`
 * follow all of it. `plan` and `planTraining` stop after planning. A new shape starts at lowering and keeps the parameters.
 */
import type { Shapes } from '../base/shape.ts';
import type { Warning } from '../base/warn.ts';
import { yielding } from '../base/yielding.ts';
import type { Blob } from '../caffe/blob.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { LayerReport, MatchOptions } from '../caffe/match-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { WeightsUse } from '../caffe/weights-mismatch.ts';
import { withWrittenBlobs } from '../caffe/written-blobs.ts';
import {
  type Compiled,
  checkSameParameters,
  compileNet,
  createParameters,
  describePlan,
  fillParameters,
  type Lowered,
  type ModelPlan,
  neededBytes,
  type Planned,
  planNet,
} from '../compile/compile.ts';
import type { NativeDevice, NativeParameters, NativePlanOptions } from '../native/binding.ts';
import { convertError } from '../native/load.ts';
import type { ParameterData } from '../operations/program.ts';
import { type LoadOptions, readGivenWeights } from './load-options.ts';
import { type DeviceMemory, largestBatch, outOfMemory } from './memory.ts';
import type { Counts } from './selection.ts';

/** The bytes of parameters, in the program's order; null means zeros. */
export type ParameterValues = readonly (ParameterData | null)[];

/** A net that was read for inference or for training; the two differ in lowering and in which weights may be missing. */
export interface ReadNet<L extends Lowered> {
  /** The filtered net. */
  readonly net: NetParameter;
  readonly weights: LoadOptions['weights'];
  readonly filling: MatchOptions & { readonly seed?: number; readonly use: WeightsUse };
  /**
   * Lowers the net as its options say, or for another batch or other input shapes.
   * @throws GraphError
   */
  lower(change?: {
    readonly batch?: number;
    readonly inputShapes?: Shapes;
    /** The number of items that Filter layers select. */
    readonly selected?: Counts;
  }): L;
  /** @param values Null if no weights are read; planning then assumes 1 everywhere, which does not change any size. */
  planning(lowered: L, values: ParameterValues | null): Partial<NativePlanOptions>;
  /** The options of an earlier plan, for other shapes. */
  replanning(lowered: L, options: NativePlanOptions): NativePlanOptions;
  /** Warnings about probable mistakes. If no weights are read, `weights` is null and `report` is empty. */
  warnings(lowered: L, weights: WeightsFile | null, report: readonly LayerReport[]): Warning[];
  /**
   * The parameters' bytes, together with what training adds to them.
   * @throws ArgumentError
   */
  complete(lowered: L, values: ParameterValues): ParameterValues;
  /** The bytes of `values` that are held in addition to the device's memory. */
  heldBytes(values: ParameterValues): number;
}

/** A net that is loaded on a device. */
export interface OpenedNet<L extends Lowered> {
  /** How each layer got its weights. */
  readonly report: readonly LayerReport[];
  readonly warnings: readonly Warning[];
  /** The blobs from the weights file, one per parameter of the net; null for a parameter that keeps its filler. */
  readonly blobs: readonly (Blob | null)[];
  /** The weights file; empty if there is none. */
  readonly file: string;
  readonly parameters: NativeParameters;
  readonly compiled: Compiled<L>;
}

interface CompilerParts {
  /** The device's name, for errors. */
  readonly device: string;
  /** Whether convolutions are measured if the net's options do not say. */
  readonly tune: boolean;
  readonly memory: () => DeviceMemory;
}

/** Options of compiling a net for other shapes. */
export interface Reshaping {
  /** The number of items that Filter layers select. Default: all. */
  readonly selected?: Counts;
  readonly measured: boolean;
  readonly makeRoom: () => boolean;
}

/** Passes warnings on and returns those that were passed on. */
export type Say = (warnings: readonly Warning[]) => readonly Warning[];

export class Compiler {
  readonly #native: NativeDevice;
  readonly #parts: CompilerParts;

  constructor(native: NativeDevice, parts: CompilerParts) {
    this.#native = native;
    this.#parts = parts;
  }

  /**
   * Follows the whole path.
   * @throws GraphError, WeightsError, ArgumentError; DeviceError before any memory is allocated
   */
  async open<L extends Lowered>(read: ReadNet<L>, say: Say): Promise<OpenedNet<L>> {
    const yieldIfDue = yielding();
    const lowered = read.lower();
    await yieldIfDue();
    const given = await readGivenWeights(read.weights);
    const weights = withWrittenBlobs(read.net, given);
    // Without a weights file, parameters that the prototxt does not contain start at the values of their fillers.
    const filling =
      given === null && weights !== null ? { ...read.filling, partialWeights: true } : read.filling;
    let parameters: NativeParameters | null = null;
    try {
      const filled = await fillParameters(lowered, weights, filling);
      const { data: values, report, blobs } = filled;
      const warnings = say([...filled.warnings, ...read.warnings(lowered, weights, report)]);
      const complete = read.complete(lowered, values);
      const planned = await this.#plan(lowered, read.planning(lowered, values));
      await this.#checkMemory(planned, read, neededBytes(planned).total + read.heldBytes(values));
      parameters = await createParameters(this.#native, planned.program, complete);
      const compiled = await compileNet(this.#native, planned, parameters);
      return { report, warnings, blobs, file: weights?.file ?? '', parameters, compiled };
    } catch (error) {
      parameters?.dispose();
      throw convertError(error, this.#parts.device);
    }
  }

  /**
   * Computes what `open` would allocate and use, without allocating it or reading weights.
   * @throws GraphError, DeviceError
   */
  async describe<L extends Lowered>(read: ReadNet<L>, say: Say): Promise<ModelPlan> {
    try {
      const lowered = read.lower();
      say(read.warnings(lowered, null, []));
      const planned = await this.#plan(lowered, read.planning(lowered, null));
      const description = describePlan(planned);
      planned.plan.dispose();
      return description;
    } catch (error) {
      throw convertError(error, this.#parts.device);
    }
  }

  /**
   * Compiles the same net with the same parameters for other input shapes, or other numbers of selected items.
   * @param options.measured Whether convolutions may be measured, and parameters packed again for the winners. Otherwise
   * each convolution uses the same algorithm and packed parameters as in the opened net, which takes only milliseconds.
   * @param options.makeRoom Frees the least useful plan when memory is short; returns false if there is none left.
   * @throws GraphError, DeviceError
   */
  async reshape<L extends Lowered>(
    read: ReadNet<L>,
    { compiled, parameters }: OpenedNet<L>,
    inputShapes: Shapes | undefined,
    { selected, measured, makeRoom }: Reshaping,
  ): Promise<Compiled<L>> {
    const reshaped: Pick<ReadNet<L>, 'lower'> = {
      lower: (change) =>
        read.lower({ ...(inputShapes === undefined ? {} : { inputShapes }), selected, ...change }),
    };
    const lowered = reshaped.lower();
    checkSameParameters(compiled.program, lowered.program);
    const options = read.replanning(lowered, compiled.options);
    const plan = () => planNet(this.#native, lowered, options, measured ? null : compiled.plan);
    let planned = await plan();
    while (neededBytes(planned).activations > this.#parts.memory().free && makeRoom()) {
      planned.plan.dispose();
      // The device frees discarded plans after the queued runs; this plan is queued after that.
      planned = await plan();
    }
    await this.#checkMemory(planned, reshaped, neededBytes(planned).activations);
    return compileNet(this.#native, planned, parameters);
  }

  #plan<L extends Lowered>(lowered: L, { tune = this.#parts.tune, ...options }: Partial<NativePlanOptions>) {
    return planNet(this.#native, lowered, { tune, ...options });
  }

  // Refuses a net that does not fit, and names the largest batch that would.
  async #checkMemory<L extends Lowered>(
    planned: Planned<L>,
    read: Pick<ReadNet<L>, 'lower'>,
    need: number,
  ): Promise<void> {
    const { free } = this.#parts.memory();
    if (need <= free) return;
    const batch = planned.program.tensors[planned.program.inputs[0] ?? -1]?.shape[0];
    const options = { ...planned.options, tune: false };
    const fits =
      batch === undefined
        ? null
        : await largestBatch(batch, free, async (smaller) => {
            const other = await planNet(this.#native, read.lower({ batch: smaller }), options);
            other.plan.dispose();
            return need - neededBytes(planned).activations + neededBytes(other).activations;
          });
    planned.plan.dispose();
    throw outOfMemory(this.#parts.device, need, free, fits);
  }
}
