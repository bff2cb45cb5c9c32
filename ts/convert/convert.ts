/** One conversion: read the source, merge if requested, write the target, check it. */
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { InWords, NOTHING } from '../base/describe.ts';
import { ArgumentError, WeightsError } from '../base/errors.ts';
import { makeFolder } from '../base/files.ts';
import { boolean, either, path, shapes } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { warn } from '../base/warn.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import type { WeightsFile } from '../caffe/caffemodel.ts';
import {
  checkNewFolder,
  filesOfModelFolder,
  isFolder,
  overwrite,
  writeModelReadme,
} from '../caffe/model-folder.ts';
import {
  filterNet,
  type LayerParameter,
  type NetParameter,
  netParameter,
  readNetFile,
} from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { withWrittenBlobs } from '../caffe/written-blobs.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import type { Preprocess } from '../images/preprocess.ts';
import { loadAnyPreprocess, saveAnyPreprocess } from '../images/preprocess-file.ts';
import { DATA_TYPES } from '../layers/data.ts';
import { isLossType } from '../layers/index.ts';
import { checkIntact } from '../native/host-memory.ts';
import { type ConversionCheck, compareRuns, compareValues, resnodeRunner } from './check.ts';
import { deployNet } from './deploy-net.ts';
import { conversions, extensionsOf, type Format, formatOf, formatOfFile, targetsOf } from './formats.ts';
import { mergeAffine } from './merge.ts';
import { blobsOf, type Network, outputsOfFile, type ReadResult } from './network.ts';
import { taskOfNet } from './task-of-net.ts';

export interface ConvertOptions {
  /** The net, as path or message. It is needed for merging, and if the target contains a net but the source does not. */
  readonly model?: string | NetParameter;
  /**
   * The file for the net that the source contains or that merging made. Default: the target's name with .prototxt. If
   * it is given, `model` is also written, in BVLC's current form. This rewrites an old pair of files, or one of NVIDIA's.
   */
  readonly outputModel?: string;
  /** Fold BatchNorm and Scale into the convolutions. Default false. */
  readonly merge?: boolean;
  /** Shapes of inputs that the source leaves open, by input name. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /**
   * A JSON file that maps tensors of the source to the layers of `model`, for sources whose names resnode does not know:
   * `{ "conv1": ["stem/W", "stem/b"], "fc": [{ "tensor": "out/W", "transpose": [1, 0] }] }`.
   */
  readonly map?: string;
  /**
   * Values of an ONNX model that become the net's outputs, in place of the model's outputs. Nodes after them, such as a
   * NonMaxSuppression, are not converted.
   */
  readonly outputs?: readonly string[];
  /** Run source and result on the same inputs. Default true. */
  readonly check?: boolean;
  /** Write into a target folder that is not empty. Default false: such a folder is an error. */
  readonly overwrite?: boolean;
}

export interface Conversion {
  /** The files that were written, in this order. */
  readonly files: readonly string[];
  /** Null if no check was requested. */
  readonly check: ConversionCheck | null;
  /** The number of layers that were folded into others. */
  readonly merged: number;
  /** The preprocessing of the net's inputs, if it is known for nets of the source. It is also written to a file. */
  readonly preprocess: Preprocess | null;
  /** One sentence about each part of the source that the result lacks. */
  readonly notes: readonly string[];
}

const CONVERT = signature('convert', {
  from: required(path, 'The source file.'),
  to: required(path, 'The target file or folder.'),
  options: optional(
    options<ConvertOptions>({
      model: optional(either(path, netParameter), 'the net that the source holds', 'The net.'),
      outputModel: optional(path, "the target's name with .prototxt", 'The path of the net to write.'),
      merge: optional(boolean, 'false', 'Folds BatchNorm and Scale into the convolutions.'),
      inputShapes: optional(shapes, 'as the source says', 'The shapes of inputs, by blob name.'),
      map: optional(
        path,
        'tensors with known names',
        'A JSON file that maps tensors of the source to the weights of `model`.',
      ),
      outputs: outputsOfFile,
      check: optional(
        boolean,
        'true',
        'Runs source and result on the same inputs and compares their outputs.',
      ),
      overwrite,
    }),
    'none',
    'How to convert.',
  ),
});

/**
 * Converts a file into another format. The source's format is detected from its content. The target's format follows
 * from its extension; see `formats`.
 * @param from A file, or a model folder, which contains its net.
 * @param to A file, or a path without an extension, or a folder. In the last two cases the target is a model folder: the
 * net, its weights in Caffe's format, and the preprocessing of images if it is known.
 * @throws ArgumentError for a pair of formats that is not supported, or a missing net; WeightsError, GraphError,
 * PrototxtError
 * @example const { files, check } = await convert('resnet50.pth', 'resnet50');
 */
export async function convert(from: string, to: string, options: ConvertOptions = {}): Promise<Conversion> {
  CONVERT.check(from, to, options);
  const source = isFolder(from) ? filesOfModelFolder(from, ['model', 'weights']) : null;
  const isFolderMade = isFolder(to) || extname(to) === '';
  const whole = source === null ? options : { model: source.model, ...options };
  if (!isFolderMade)
    return convertFile(source?.weights ?? from, to, {
      ...whole,
      ...(source?.preprocess === undefined ? {} : { sourcePreprocess: source.preprocess }),
    });
  checkNewFolder(to, options.overwrite, 'to');
  return convertToFolder(source ?? { weights: from }, to, whole);
}

/** Writes a net and its weights as a model folder. The other files of a source folder are copied too. */
async function convertToFolder(
  source: Partial<ReturnType<typeof filesOfModelFolder>> & { readonly weights: string },
  folder: string,
  options: ConvertOptions,
): Promise<Conversion> {
  const at = (name: string) => join(folder, name);
  makeFolder(folder);
  const made = await convertFile(source.weights, at('model.caffemodel'), {
    ...options,
    outputModel: at('model.prototxt'),
    preprocessFile: at('preprocess.json'),
  });
  const files = [...made.files];
  if (source.preprocess !== undefined && made.preprocess === null) {
    saveAnyPreprocess(at('preprocess.json'), loadAnyPreprocess(source.preprocess));
    files.push(at('preprocess.json'));
  }
  // Ranges belong to blobs, which a merged net still has.
  for (const [name, file] of [
    ['labels.txt', source.labels],
    ['calibration.json', source.calibration],
  ] as const)
    if (file !== undefined) {
      writeFileAtomically(at(name), [readFileSync(file)]);
      files.push(at(name));
    }
  const readme = writeModelReadme(folder, {
    title: basename(resolve(folder)),
    task: taskOfNet(readNetFile(at('model.prototxt'))).task,
    madeBy: 'resnode convert',
    facts: [['source', basename(source.weights)], ...made.notes.map((note) => ['note', note] as const)],
  });
  return { ...made, files: [...files, readme] };
}

interface FileOptions extends ConvertOptions {
  /** Default: the target's name with .preprocess.json. */
  readonly preprocessFile?: string;
  /** The description of images in a model folder, for formats that can store it. */
  readonly sourcePreprocess?: string;
}

async function convertFile(from: string, to: string, options: FileOptions): Promise<Conversion> {
  const { model, merge = false, inputShapes = {}, outputs, check = true } = options;
  const source = options.map === undefined ? await formatOfFile(from) : mapped(options.map);
  const { format: target, extension } = formatOf(to);
  const pair =
    options.map === undefined
      ? conversions().find((each) => each.from === source && each.to === target)
      : target.write !== undefined && target.kind === 'weights'
        ? { from: source, to: target, onlyMerged: false }
        : undefined;
  const isRewritten = merge || (options.outputModel !== undefined && !target.holdsNet);
  if (pair === undefined)
    throw new ArgumentError(
      'to',
      `a file name that ends in ${extensionsOf(targetsOf(source))}, formats that ${source.name} can become`,
      to,
    );
  if (pair.onlyMerged && !isRewritten)
    throw new ArgumentError(
      'to',
      'another format (or merge, or outputModel to rewrite an old net: --merge, --out-model)',
      new InWords(`${source.name} → ${target.name}`),
    );
  if (outputs !== undefined && source.namesValues !== true)
    throw new ArgumentError(
      'outputs',
      `none where the source is ${source.name}`,
      outputs,
      'only ONNX has names of values',
    );
  if (from === to) throw new ArgumentError('to', 'another file than the source', to);
  const given = model === undefined ? null : await netToConvert(model, inputShapes);
  const found = await source.read!(from, {
    net: given,
    inputShapes,
    ...(outputs === undefined ? {} : { outputs }),
  });
  const read: ReadResult =
    found.net === null ? found : { ...found, weights: withWrittenBlobs(found.net, found.weights)! };
  if (read.net === null && (merge || pair.onlyMerged || target.holdsNet))
    throw new ArgumentError(
      'model',
      `a net, which ${merge ? 'merging' : pair.onlyMerged ? 'rewriting' : target.name} needs and the source (${source.name}) does not contain`,
      NOTHING,
    );
  const { merged, ...result } = merge ? mergeAffine(read as Network) : { ...read, merged: 0 };
  if (given !== null && read.net !== given)
    throw new ArgumentError('model', `nothing: ${source.name} contains its own net`, new InWords('a net'));
  const stem = to.slice(0, to.length - extension.length);
  const isNewNet = result.net !== null && (result.net !== given || options.outputModel !== undefined);
  const outputModel = isNewNet && !target.holdsNet ? (options.outputModel ?? `${stem}.prototxt`) : null;
  const preprocessFile =
    read.preprocess === undefined ? null : (options.preprocessFile ?? `${stem}.preprocess.json`);
  if (outputModel !== null && outputModel === model)
    throw new ArgumentError('outputModel', 'another file than the model', outputModel);
  // Blobs that the check would refuse are refused before anything is written.
  if (check && read.net !== null) blobsOf(graphFromCaffe(read.net), read.weights);
  const known =
    options.sourcePreprocess === undefined ? {} : { preprocess: loadAnyPreprocess(options.sourcePreprocess) };
  await target.write!(to, { ...known, ...result });
  await removeIfChanged(to, from, read.weights);
  if (outputModel !== null) writeFileAtomically(outputModel, [printPrototxt(result.net!)]);
  if (preprocessFile !== null) saveAnyPreprocess(preprocessFile, read.preprocess!);
  return {
    files: [to, outputModel, preprocessFile].filter((path) => path !== null),
    check: check ? await checkFiles({ path: from, format: source, outputs }, to, read, result) : null,
    merged,
    preprocess: read.preprocess ?? null,
    notes: read.notes ?? [],
  };
}

/** A format of tensors with arbitrary names. */
const mapped = (map: string): Format => ({
  name: 'tensors by name',
  extensions: [],
  kind: 'weights',
  holdsNet: false,
  read: async (path, { net }) => {
    const { mappedWeights, namedTensors } = await import('./mapped-weights.ts');
    if (net === null)
      throw new ArgumentError('model', 'a net (--model net.prototxt), whose layers the map names', undefined);
    return { net, weights: mappedWeights(net, await namedTensors(path), map, path) };
  },
});

// Other formats can store only the deploy part of a training net.
async function netToConvert(
  model: NonNullable<ConvertOptions['model']>,
  inputShapes: NonNullable<ConvertOptions['inputShapes']>,
): Promise<NetParameter> {
  const net = typeof model === 'string' ? readNetFile(model) : model;
  const filtered = filterNet(net);
  const isTrained = ({ type = '' }: LayerParameter) => DATA_TYPES.includes(type) || isLossType(type);
  if (!(filtered.layer ?? []).some(isTrained)) return filtered;
  warn(
    'convert/deploy',
    `the net "${net.name ?? ''}" has data layers or losses; its deploy net is converted`,
  );
  return deployNet(net, { inputShapes });
}

// Until they are written, values are views of the source file. If that file changed, the result is removed.
async function removeIfChanged(to: string, from: string, { layers }: WeightsFile): Promise<void> {
  try {
    for (const { blobs } of layers) for (const { bytes } of blobs) checkIntact(bytes, from);
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  }
}

// A format with a program of its own is run by that program. Otherwise resnode reads the file back and runs it.
async function checkFiles(
  from: {
    readonly path: string;
    readonly format: Format;
    readonly outputs: readonly string[] | undefined;
  },
  to: string,
  read: ReadResult,
  result: ReadResult,
): Promise<ConversionCheck> {
  const target = formatOf(to).format;
  const program = read.net === null ? null : ((await target.runner?.(to)) ?? null);
  const back = program === null ? await readBack(target, to, result) : null;
  if (read.net === null || back?.net === null) return compareValues(read.weights, back!.weights);
  const { outputs } = read;
  const ours = await resnodeRunner(read as Network, { optimize: false, outputs });
  const theirs = (await from.format.runner?.(from.path, from.outputs)) ?? null;
  const other = program ?? (await resnodeRunner(back as Network, { optimize: true, outputs }));
  try {
    return await compareRuns(theirs ?? ours, other, ours.inputs);
  } finally {
    for (const runner of [ours, theirs, other]) await runner?.dispose();
  }
}

// resnode writes ONNX that it cannot read, such as the selection of detections.
async function readBack(target: Format, to: string, { net }: ReadResult): Promise<ReadResult> {
  try {
    return await target.read!(to, { net, inputShapes: {} });
  } catch (error) {
    if (target.runner === undefined || !(error instanceof WeightsError)) throw error;
    throw new WeightsError(
      error.code,
      { file: to },
      `the file was written, but not checked: ${error.message}; install onnxruntime-node, which runs it, or skip the check (--no-check)`,
      { cause: error },
    );
  }
}
