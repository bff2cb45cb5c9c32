/**
 * The stages from a net to a program that runs, and the data of each: Lowered → (its parameters' bytes) → Planned →
 * Compiled.
 * `L` is the data of lowering, for runs or for training. device/compiler.ts takes a net through all stages.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyOf } from '../base/copy-of.ts';
import { GraphError } from '../base/errors.ts';
import { readCause } from '../base/files.ts';
import { optionsOf } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
import type { Warning } from '../base/warn.ts';
import { yielding } from '../base/yielding.ts';
import type { Blob } from '../caffe/blob.ts';
import { readBinaryproto, type WeightsFile } from '../caffe/caffemodel.ts';
import { fillerRandom, filling } from '../caffe/fillers.ts';
import { type LayerReport, type MatchOptions, matchWeights, noWeights } from '../caffe/match-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { WeightsUse } from '../caffe/weights-mismatch.ts';
import { notFiniteWarnings } from '../caffe/weights-warnings.ts';
import { type GraphOptions, graphOptions, graphSelecting } from '../graph/from-caffe.ts';
import type { Graph, Selection } from '../graph/graph.ts';
import { withOutputs } from '../graph/outputs.ts';
import { summarise } from '../graph/summary.ts';
import { type HostFunction, hostCaller } from '../layers/javascript.ts';
import type { BuildState } from '../layers/layer.ts';
import type { Parameter } from '../layers/operation.ts';
import type {
  NativeDevice,
  NativeExecutable,
  NativeParameters,
  NativePlan,
  NativePlanOptions,
  NativeQuantization,
  Precision,
} from '../native/binding.ts';
import { allocateMemory, inHeldMemory, isOfFile } from '../native/host-memory.ts';
import type { ParameterData, Program, TensorId } from '../operations/program.ts';
import { runPasses } from '../passes/index.ts';
import { removeUnused } from '../passes/simplify.ts';
import { lower, type ParameterRecipe } from './lower.ts';
import { packWeights, sourcesOf } from './pack-weights.ts';

export interface CompileOptions extends GraphOptions, MatchOptions {
  /** Blobs to return: `blob` or `blob@layer`. Default: those that no layer reads, as in Caffe. */
  readonly outputs?: readonly string[];
  /**
   * Run the fusing passes. Default: true in phase TEST. False (the default in phase TRAIN) runs layer by layer as written.
   */
  readonly optimize?: boolean;
  /**
   * The type in which activations and weights are stored and multiplied. Default `float32`, which is IEEE float32. `int8`
   * needs a
   * calibration, and the CPU device, where other feature maps stay float32, or a CUDA device, where they are float16.
   * `bfloat16` works on the CPU device (docs/cpu-kernels.md) and on CUDA devices, `tf32` and `float16` only on CUDA devices.
   * Sums are float32, or int32 for int8. Values that are not feature maps (scores, labels, losses) stay float32 too.
   */
  readonly precision?: Precision;
  /** Use only implementations that give the same bits every time. Default: the device's setting. */
  readonly deterministic?: boolean;
  /** Measure convolutions that are new to this machine. Default: the device's setting. */
  readonly tune?: boolean;
  /** The seed of the fillers and of Dropout. Default 1. */
  readonly seed?: number;
  /**
   * Additional blobs to return.
   * @internal
   */
  readonly moreOutputs?: readonly string[];
  /**
   * Computed from a calibration and the weights.
   * @internal
   */
  readonly quantization?: NativeQuantization;
}

/** A net lowered for one set of input shapes. It does not use the device's memory yet. */
export interface Lowered {
  /** As written, without the passes. */
  readonly written: Graph;
  /** The net as it runs. */
  readonly graph: Graph;
  readonly program: Program;
  readonly recipes: readonly ParameterRecipe[];
  /** Dropout's input for the number of the pass, after the net's own inputs; null: there is none. */
  readonly pass: TensorId | null;
  /** The selections of Filter layers. Their indices are inputs after the net's own. */
  readonly selections: readonly Selection[];
  /** Layers in JavaScript, by their index in the program. */
  readonly functions: readonly HostFunction[];
  /**
   * The names of the first of `program.outputs`. The later outputs determine how many rows of others are valid (Value.rows).
   */
  readonly names: readonly string[];
}

/** A lowered net with its device's implementations and sizes. */
export type Planned<L extends Lowered = Lowered> = L & {
  readonly plan: NativePlan;
  /** The options of the plan. */
  readonly options: NativePlanOptions;
};

/** Ready to run. */
export type Compiled<L extends Lowered = Lowered> = Planned<L> & { readonly executable: NativeExecutable };

/**
 * @param selected The number of items that each Filter layer selects.
 * @throws GraphError
 */
export function lowerNet(
  net: NetParameter,
  options: CompileOptions,
  selected?: BuildState['selected'],
): Lowered {
  const written = graphSelecting(net, optionsOf(graphOptions, options), selected);
  const own = options.outputs ?? written.outputs.map((id) => written.values[id]!.blob);
  const names = [...new Set([...own, ...(options.moreOutputs ?? [])])];
  const requested = withRows(
    options.outputs === undefined ? withOutputs(written, names) : withNeededInputs(written, net, names),
  );
  const phase = options.phase ?? net.state?.phase;
  const graph = (options.optimize ?? phase !== 'TRAIN') ? runPasses(requested) : requested;
  return { written, graph, names, ...lower(graph, options) };
}

/** Values that determine how many rows of an output are valid are outputs too, after those with names. */
function withRows(graph: Graph): Graph {
  const rows = graph.outputs.flatMap((id) => graph.values[id]!.rows ?? []);
  return { ...graph, outputs: [...graph.outputs, ...new Set(rows)] };
}

// Of the data layers' tops, such as a label, the caller gives only those that the outputs need.
function withNeededInputs(written: Graph, net: NetParameter, outputs: readonly string[]): Graph {
  const requested = withOutputs(written, outputs);
  const fed = new Set(
    (net.layer ?? []).filter(({ type }) => type !== 'Input').flatMap(({ top = [] }) => top),
  );
  const needed = removeUnused(requested);
  const read = new Set([...needed.outputs, ...needed.nodes.flatMap(({ inputs }) => inputs)]);
  const inputs = requested.inputs.filter((id) => read.has(id) || !fed.has(requested.values[id]!.blob));
  // A Filter that is not needed selects nothing.
  const isWhole = inputs.length === requested.inputs.length && written.selections.length === 0;
  return isWhole ? requested : { ...needed, inputs };
}

/**
 * Chooses implementations and lays out the memory, but does not allocate it.
 * @param like A plan of the same net for other shapes. Its implementations are used without measurement, and parameters
 * are used as that plan packs them. Null: none.
 * @throws DeviceError
 */
export async function planNet<L extends Lowered>(
  device: NativeDevice,
  lowered: L,
  {
    precision = 'float32',
    deterministic = false,
    tune = true,
    quantization = null,
  }: Partial<NativePlanOptions>,
  like: NativePlan | null = null,
): Promise<Planned<L>> {
  const options = { precision, deterministic, tune, quantization };
  const { program, functions } = lowered;
  const plan = await device.prepare(
    program,
    { ...options, tune: tune && like === null },
    like,
    functions.length === 0 ? null : hostCaller(functions),
  );
  return { ...lowered, plan, options };
}

/** The memory of a model in bytes, and its arithmetic. */
export interface ModelPlan {
  /** The parameters in the device's packed form. */
  readonly parameterBytes: number;
  /** The arena that all activations share. */
  readonly arenaBytes: number;
  /** The memory that activations would need in separate buffers. */
  readonly separateBytes: number;
  /** The scratch memory of the operations. */
  readonly workspaceBytes: number;
  /** Multiply-accumulates of one run. */
  readonly macs: number;
  /** One row for each operation: its layers and its implementation, such as `jit:avx512_core`. */
  readonly operations: readonly { readonly layer: string; readonly implementation: string }[];
}

/** The description of a plan for users. */
export function describePlan({ plan, program, graph }: Planned): ModelPlan {
  return {
    parameterBytes: plan.parameterBytes,
    arenaBytes: plan.arenaBytes,
    separateBytes: plan.separateBytes,
    workspaceBytes: plan.workspaceBytes,
    macs: summarise(graph).macs,
    operations: program.operations.map(({ layer }, i) => ({
      layer,
      implementation: plan.implementations[i]!,
    })),
  };
}

/** The bytes that `compileNet` will allocate, without and with the parameters. */
export function neededBytes({ plan }: Planned): { activations: number; total: number } {
  const activations = plan.arenaBytes + plan.workspaceBytes;
  return { activations, total: activations + plan.parameterBytes };
}

/**
 * The bytes of parameters beside their packed form: those of a filler or an HDF5 file. A caffemodel's bytes belong to its
 * reader.
 */
export function sourceBytes(data: readonly (ParameterData | null)[]): number {
  return data.reduce((sum, each) => sum + (each === null || isOfFile(each.bytes) ? 0 : each.bytes.length), 0);
}

/**
 * The parameters' bytes, from the weights (as views) or otherwise from the fillers. It yields to the event loop.
 * `blobs` are those of the weights, one for each parameter of the net.
 * @throws WeightsError; an Error with code `device/out-of-memory`
 */
export async function fillParameters(
  lowered: Lowered,
  weights: WeightsFile | null,
  { seed = 1, use = 'run', ...options }: MatchOptions & { readonly seed?: number; readonly use?: WeightsUse },
): Promise<{
  data: (ParameterData | null)[];
  report: LayerReport[];
  blobs: readonly (Blob | null)[];
  /** For values that are not finite. */
  warnings: readonly Warning[];
}> {
  const { parameters } = lowered.written;
  const { blobs: matched, report } =
    weights === null ? noWeights(parameters) : matchWeights(parameters, weights, options, use);
  const warnings = await notFiniteWarnings(parameters, matched, weights);
  const yieldIfDue = yielding();
  const blobs = use === 'train' ? matched : await keptBlobs(matched, yieldIfDue);
  const filled = new Map<number, Blob>();
  for (const id of sourcesOf(lowered.recipes))
    if (blobs[id] == null) filled.set(id, await drawnBlob(parameters[id]!, seed, yieldIfDue));
  const data: (ParameterData | null)[] = [];
  for (const [i, recipe] of lowered.recipes.entries()) {
    if (recipe.kind === 'file') data.push(await readBlobOf(recipe, lowered.program.parameters[i]!.shape));
    else data.push(...packWeights([recipe], (id) => blobs[id] ?? filled.get(id)!));
    await yieldIfDue();
  }
  return { data, report, blobs, warnings };
}

/**
 * A parameter's blob from its filler, with the same values every time.
 * @throws an Error with code `device/out-of-memory`
 */
export async function drawnBlob(
  { filler, shape, layer, index }: Parameter,
  seed: number,
  yieldIfDue: ReturnType<typeof yielding>,
): Promise<Blob> {
  const random = fillerRandom(seed, layer, index);
  const count = elementCount(shape);
  const bytes = allocateMemory(4 * count, `layer "${layer}": blob ${index}, ${shape.join('×')},`);
  for (const _ of filling(filler, shape, random, new Float32Array(bytes.buffer, 0, count)))
    await yieldIfDue();
  return { shape, dtype: 'float32', bytes };
}

/**
 * Blobs that outlive their reader. Data that do not belong to a file are copied once for both JavaScript and native code.
 */
export async function keptBlobs(
  blobs: readonly (Blob | null)[],
  yieldIfDue: ReturnType<typeof yielding>,
): Promise<(Blob | null)[]> {
  const kept: (Blob | null)[] = [];
  for (const blob of blobs) {
    if (blob === null || isOfFile(blob.bytes)) kept.push(blob);
    else {
      const bytes = await inHeldMemory(blob.bytes, yieldIfDue);
      kept.push({ ...blob, bytes: bytes === blob.bytes ? copyOf(bytes) : bytes });
    }
  }
  return kept;
}

/** @throws GraphError `graph/file`; WeightsError */
async function readBlobOf(
  { file: name, net, layer }: Extract<ParameterRecipe, { kind: 'file' }>,
  shape: readonly number[],
): Promise<ParameterData> {
  const refuse = (text: string): never => {
    throw new GraphError('graph/file', { layer }, `${name}: ${text}`);
  };
  const file = existsSync(name) ? name : join(dirname(net), name);
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) =>
    refuse(`${readCause(error)}; expected a BlobProto of ${shape.join('×')} values`),
  );
  const blob = readBinaryproto(bytes, { file });
  if (elementCount(blob.shape) !== elementCount(shape))
    refuse(`expected ${shape.join('×')} values, found ${blob.shape.join('×')}`);
  return { bytes: blob.bytes, dtype: blob.dtype, channelScale: null };
}

/**
 * Gives parameters to a device. It yields to the event loop while it copies data from JavaScript's memory.
 * @throws DeviceError
 */
export async function createParameters(
  device: NativeDevice,
  program: Program,
  data: readonly (ParameterData | null)[],
): Promise<NativeParameters> {
  const yieldIfDue = yielding();
  const held: (ParameterData | null)[] = [];
  for (const each of data)
    held.push(each === null ? null : { ...each, bytes: await inHeldMemory(each.bytes, yieldIfDue) });
  return device.createParameters(program, held);
}

/**
 * Allocates the memory and packs the parameters.
 * @throws DeviceError
 */
export async function compileNet<L extends Lowered>(
  device: NativeDevice,
  planned: Planned<L>,
  parameters: NativeParameters,
): Promise<Compiled<L>> {
  return { ...planned, executable: await device.compile(planned.plan, parameters) };
}

/**
 * All shapes share the parameters, so a shape that needs others is refused.
 * @throws GraphError
 */
export function checkSameParameters(first: Program, other: Program): void {
  const describe = ({ parameters }: Program) =>
    parameters.map(({ name, shape }) => `${name} ${shape.join('×')}`);
  const expected = describe(first);
  const different = describe(other).find((text, i) => text !== expected[i]);
  if (different !== undefined || first.parameters.length !== other.parameters.length)
    throw new GraphError(
      'graph/other-parameters',
      {},
      `these input shapes need other parameters (${different ?? 'fewer'}) than the loaded ones; load the net again with inputShapes`,
    );
}
