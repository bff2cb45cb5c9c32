/**
 * The stages from a net to what runs, and what is known at each: Lowered → (its parameters' bytes) → Planned → Compiled.
 * `L` is what lowering for runs, or for training, knows; device/compiler.ts takes a net through all of them.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { copyOf } from '../base/copy-of.ts';
import { GraphError } from '../base/errors.ts';
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
  /** Blobs to return: `blob` or `blob@layer`. Default: those that no layer reads, as Caffe. */
  readonly outputs?: readonly string[];
  /** Run the fusing passes. Default: in phase TEST; false (and phase TRAIN) runs layer by layer as written. */
  readonly optimize?: boolean;
  /**
   * What activations and weights are stored and multiplied in. Default `float32`, which is IEEE float32; `int8` needs
   * a calibration and the CPU device, whose other feature maps stay float32, or a CUDA device, whose others are float16;
   * `bfloat16` is for the CPU device (docs/cpu-kernels.md) and CUDA devices, the others for CUDA devices. Sums stay float32, of int8 int32. What is no feature map (scores, labels, losses) stays
   * float32 too.
   */
  readonly precision?: Precision;
  /** Only implementations that give the same bits every time. Default: as the device was opened. */
  readonly deterministic?: boolean;
  /** Measure convolutions that are new to this machine. Default: as the device was opened. */
  readonly tune?: boolean;
  /** Of the fillers and of Dropout. Default 1. */
  readonly seed?: number;
  /** Blobs to return besides. @internal */
  readonly moreOutputs?: readonly string[];
  /** Made of a calibration and the weights. @internal */
  readonly quantization?: NativeQuantization;
}

/** A net lowered for one set of input shapes; nothing of it lies on a device yet. */
export interface Lowered {
  /** As written, without the passes. */
  readonly written: Graph;
  /** As it runs. */
  readonly graph: Graph;
  readonly program: Program;
  readonly recipes: readonly ParameterRecipe[];
  /** The input of Dropout that says which pass it is, behind the net's own; null: there is none. */
  readonly pass: TensorId | null;
  /** What Filter layers select: their indices are inputs behind the net's own. */
  readonly selections: readonly Selection[];
  /** Layers in JavaScript, by their index in the program. */
  readonly functions: readonly HostFunction[];
  /** Names of the first of `program.outputs`; those behind say how many rows of others count (Value.rows). */
  readonly names: readonly string[];
}

/** A lowered net with its device's choices and sizes. */
export type Planned<L extends Lowered = Lowered> = L & {
  readonly plan: NativePlan;
  /** What it was planned with. */
  readonly options: NativePlanOptions;
};

/** Ready to run. */
export type Compiled<L extends Lowered = Lowered> = Planned<L> & { readonly executable: NativeExecutable };

/** @param selected How many items Filter layers select. @throws GraphError */
export function lowerNet(
  net: NetParameter,
  options: CompileOptions,
  selected?: BuildState['selected'],
): Lowered {
  const written = graphSelecting(net, optionsOf(graphOptions, options), selected);
  const own = options.outputs ?? written.outputs.map((id) => written.values[id]!.blob);
  const names = [...new Set([...own, ...(options.moreOutputs ?? [])])];
  const asked = withRows(
    options.outputs === undefined ? withOutputs(written, names) : askedOf(written, net, names),
  );
  const phase = options.phase ?? net.state?.phase;
  const graph = (options.optimize ?? phase !== 'TRAIN') ? runPasses(asked) : asked;
  return { written, graph, names, ...lower(graph, options) };
}

/** What says how many rows of an output count is an output, too, behind those that have names. */
function withRows(graph: Graph): Graph {
  const rows = graph.outputs.flatMap((id) => graph.values[id]!.rows ?? []);
  return { ...graph, outputs: [...graph.outputs, ...new Set(rows)] };
}

// Of what data layers give, a label say, only what the outputs need has to be given.
function askedOf(written: Graph, net: NetParameter, outputs: readonly string[]): Graph {
  const asked = withOutputs(written, outputs);
  const fed = new Set(
    (net.layer ?? []).filter(({ type }) => type !== 'Input').flatMap(({ top = [] }) => top),
  );
  const needed = removeUnused(asked);
  const read = new Set([...needed.outputs, ...needed.nodes.flatMap(({ inputs }) => inputs)]);
  const inputs = asked.inputs.filter((id) => read.has(id) || !fed.has(asked.values[id]!.blob));
  // A Filter that is not needed selects nothing.
  const isWhole = inputs.length === asked.inputs.length && written.selections.length === 0;
  return isWhole ? asked : { ...needed, inputs };
}

/**
 * Chooses implementations and lays out the memory; takes none of it.
 * @param like The same net's plan for other shapes, whose choices hold for these: nothing is measured, and parameters
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

/** What a model takes, in bytes, and what it computes. */
export interface ModelPlan {
  /** Parameters as the device packs them. */
  readonly parameterBytes: number;
  /** The arena that all activations share. */
  readonly arenaBytes: number;
  /** What activations would take in buffers of their own. */
  readonly separateBytes: number;
  /** Scratch of the operations. */
  readonly workspaceBytes: number;
  /** Multiply-accumulates of one run. */
  readonly macs: number;
  /** One an operation: its layers and what computes it, e.g. `jit:avx512_core`. */
  readonly operations: readonly { readonly layer: string; readonly implementation: string }[];
}

/** What a plan says to people. */
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

/** Bytes that `compileNet` will take, without and with the parameters. */
export function neededBytes({ plan }: Planned): { activations: number; total: number } {
  const activations = plan.arenaBytes + plan.workspaceBytes;
  return { activations, total: activations + plan.parameterBytes };
}

/** Bytes that parameters take beside their packed form: a filler's, an HDF5 file's. A caffemodel's own are its reader's. */
export function sourceBytes(data: readonly (ParameterData | null)[]): number {
  return data.reduce((sum, each) => sum + (each === null || isOfFile(each.bytes) ? 0 : each.bytes.length), 0);
}

/**
 * The parameters' bytes, from the weights (views) or, where they have none, from the fillers; others have their turns.
 * `blobs` are those of the weights, one a parameter of the net.
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
  /** Of values that are not finite. */
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

/** A parameter's blob as its filler draws it: the same one each time. @throws an Error with code `device/out-of-memory` */
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

/** Blobs that outlive their reading: what is of no file is copied, once for JavaScript and native code together. */
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
    refuse(`cannot be read (${error.code}); expected a BlobProto of ${shape.join('×')} values`),
  );
  const blob = readBinaryproto(bytes, { file });
  if (elementCount(blob.shape) !== elementCount(shape))
    refuse(`expected ${shape.join('×')} values, found ${blob.shape.join('×')}`);
  return { bytes: blob.bytes, dtype: blob.dtype, channelScale: null };
}

/**
 * Gives parameters to a device; others have their turns while what lies in JavaScript's memory is copied.
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

/** Takes the memory and packs the parameters. @throws DeviceError */
export async function compileNet<L extends Lowered>(
  device: NativeDevice,
  planned: Planned<L>,
  parameters: NativeParameters,
): Promise<Compiled<L>> {
  return { ...planned, executable: await device.compile(planned.plan, parameters) };
}

/** Parameters are shared between shapes: a shape that needs others is refused. @throws GraphError */
export function checkSameParameters(first: Program, other: Program): void {
  const describe = ({ parameters }: Program) => parameters.map(({ name, shape }) => `${name} ${shape}`);
  const expected = describe(first);
  const different = describe(other).find((text, i) => text !== expected[i]);
  if (different !== undefined || first.parameters.length !== other.parameters.length)
    throw new GraphError(
      'graph/other-parameters',
      {},
      `these input shapes need other parameters (${different ?? 'fewer'}) than the loaded ones; load the net again with inputShapes`,
    );
}
