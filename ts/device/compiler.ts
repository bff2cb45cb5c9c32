/**
 * The one path from a net to what runs: read → lower → weights → plan → check → compile. `load` and `train` take all of
 * it, `plan` and `planTraining` stop behind the plan, another shape begins at lowering and keeps the parameters.
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

/** The bytes of parameters, in a program's order; null: zeros. */
export type ParameterValues = readonly (ParameterData | null)[];

/** What a net was read for: runs or training, which differ in how it is lowered and in what its weights may lack. */
export interface ReadNet<L extends Lowered> {
  /** Filtered. */
  readonly net: NetParameter;
  readonly weights: LoadOptions['weights'];
  readonly filling: MatchOptions & { readonly seed?: number; readonly use: WeightsUse };
  /** As its options say, or for another batch or other input shapes. @throws GraphError */
  lower(change?: {
    readonly batch?: number;
    readonly inputShapes?: Shapes;
    /** How many items Filter layers select. */
    readonly selected?: Counts;
  }): L;
  /** @param values Null where no weights are read: as if all were 1, which changes no size. */
  planning(lowered: L, values: ParameterValues | null): Partial<NativePlanOptions>;
  /** What the net was planned with, for other shapes. */
  replanning(lowered: L, options: NativePlanOptions): NativePlanOptions;
  /** What is hardly meant. `weights` are null, and nothing is reported, where none are read. */
  warnings(lowered: L, weights: WeightsFile | null, report: readonly LayerReport[]): Warning[];
  /** The parameters' bytes with what training adds to them. @throws ArgumentError */
  complete(lowered: L, values: ParameterValues): ParameterValues;
  /** Bytes of `values` that are held beside the device's memory. */
  heldBytes(values: ParameterValues): number;
}

/** A net on a device. */
export interface OpenedNet<L extends Lowered> {
  /** What became of each layer's weights. */
  readonly report: readonly LayerReport[];
  readonly warnings: readonly Warning[];
  /** The blobs that the weights gave, one a parameter of the net; null: its filler. */
  readonly blobs: readonly (Blob | null)[];
  /** Which the weights are of; empty: none. */
  readonly file: string;
  readonly parameters: NativeParameters;
  readonly compiled: Compiled<L>;
}

interface CompilerParts {
  /** The device's name, for errors. */
  readonly device: string;
  /** Whether convolutions are measured, where a net's options do not say it. */
  readonly tune: boolean;
  readonly memory: () => DeviceMemory;
}

/** How a net is compiled for other shapes. */
export interface Reshaping {
  /** How many items Filter layers select. Default: all. */
  readonly selected?: Counts;
  readonly measured: boolean;
  readonly makeRoom: () => boolean;
}

/** Hands warnings on, and gives back those that were handed on. */
export type Say = (warnings: readonly Warning[]) => readonly Warning[];

export class Compiler {
  readonly #native: NativeDevice;
  readonly #parts: CompilerParts;

  constructor(native: NativeDevice, parts: CompilerParts) {
    this.#native = native;
    this.#parts = parts;
  }

  /** Takes the whole path. @throws GraphError, WeightsError, ArgumentError; DeviceError before anything was taken */
  async open<L extends Lowered>(read: ReadNet<L>, say: Say): Promise<OpenedNet<L>> {
    const yieldIfDue = yielding();
    const lowered = read.lower();
    await yieldIfDue();
    const given = await readGivenWeights(read.weights);
    const weights = withWrittenBlobs(read.net, given);
    // Where no file is given, what the prototxt does not hold begins at its filler.
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

  /** What `open` would take and use, without taking it: no weights are read. @throws GraphError, DeviceError */
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
   * The same net on the same parameters for other input shapes, or other numbers of selected items.
   * @param options.measured Whether convolutions may be measured, and parameters packed once more for those that win.
   * Otherwise each is computed as the opened net computes it, on what that has packed, which takes milliseconds.
   * @param options.makeRoom Frees what is needed least, where memory is short; false: there is no more.
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
      // What was given up is freed behind the runs that are queued, and so is this behind that.
      planned = await plan();
    }
    await this.#checkMemory(planned, reshaped, neededBytes(planned).activations);
    return compileNet(this.#native, planned, parameters);
  }

  #plan<L extends Lowered>(lowered: L, { tune = this.#parts.tune, ...options }: Partial<NativePlanOptions>) {
    return planNet(this.#native, lowered, { tune, ...options });
  }

  // Refuses what does not fit, naming the largest batch that would.
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
