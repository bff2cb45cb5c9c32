/** One conversion: read, merge where asked, write, check. */
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
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
import { loadPreprocess, savePreprocess } from '../images/preprocess-file.ts';
import { DATA_TYPES } from '../layers/data.ts';
import { isLossType } from '../layers/index.ts';
import { checkIntact } from '../native/host-memory.ts';
import { type ConversionCheck, compareRuns, compareValues, resnodeRunner } from './check.ts';
import { deployNet } from './deploy-net.ts';
import { conversions, type Format, formatOf, formatOfFile } from './formats.ts';
import { mergeAffine } from './merge.ts';
import { blobsOf, type Network, outputsOfFile, type ReadResult } from './network.ts';

export interface ConvertOptions {
  /** The net, as path or message; needed where the source does not say it and the target does, and to merge. */
  readonly model?: string | NetParameter;
  /**
   * Where a net that the source says, or that was merged, is written. Default: the target's name with .prototxt. Given,
   * `model` is written too, in BVLC's current form: that is how an old pair, or NVIDIA's, is rewritten.
   */
  readonly outputModel?: string;
  /** Fold BatchNorm and Scale into the convolutions. Default false. */
  readonly merge?: boolean;
  /** Shapes of inputs that the source leaves open, by name. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /**
   * A JSON file that says which tensors of the source are the weights of `model`, for names that are not known:
   * `{ "conv1": ["stem/W", "stem/b"], "fc": [{ "tensor": "out/W", "transpose": [1, 0] }] }`.
   */
  readonly map?: string;
  /**
   * Values of an ONNX model at which the net ends, in place of the model's outputs: what lies behind them is left out, such
   * as a NonMaxSuppression.
   */
  readonly outputs?: readonly string[];
  /** Run source and result on the same inputs. Default true. */
  readonly check?: boolean;
  /** Writes into a folder that holds files already, where the target is one. Default false: it is an error. */
  readonly overwrite?: boolean;
}

export interface Conversion {
  /** Written, in this order. */
  readonly files: readonly string[];
  /** Null where it was not asked for. */
  readonly check: ConversionCheck | null;
  /** Layers that were folded into others. */
  readonly merged: number;
  /** What the net takes, where its source's nets are known to take it; written too. */
  readonly preprocess: Preprocess | null;
  /** What of the source is no part of the result, in a sentence each. */
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
 * Converts a file into another format: the source's is seen from its content, the target's from its extension, see `formats`.
 * @param from A file, or a model folder, which says its net.
 * @param to A file; or a path without an extension, or a folder: a model folder of the net, its weights in Caffe's format,
 * and how images are prepared where that is known.
 * @throws ArgumentError for a pair that does not exist, or a net that is missing; WeightsError, GraphError, PrototxtError
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
  checkNewFolder(to, options.overwrite, 'the target');
  return convertToFolder(source ?? { weights: from }, to, whole);
}

/** A net and its weights as a model folder; what another folder has beside them goes along. */
async function convertToFolder(
  source: { readonly weights: string; readonly labels?: string; readonly preprocess?: string },
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
    savePreprocess(at('preprocess.json'), loadPreprocess(source.preprocess));
    files.push(at('preprocess.json'));
  }
  if (source.labels !== undefined) {
    writeFileAtomically(at('labels.txt'), [readFileSync(source.labels)]);
    files.push(at('labels.txt'));
  }
  const readme = writeModelReadme(folder, {
    title: basename(resolve(folder)),
    madeBy: 'resnode convert',
    facts: [['source', basename(source.weights)], ...made.notes.map((note) => ['note', note] as const)],
  });
  return { ...made, files: [...files, readme] };
}

interface FileOptions extends ConvertOptions {
  /** Default: the target's name with .preprocess.json. */
  readonly preprocessFile?: string;
  /** What a model folder says of its images, for formats that hold it. */
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
  if (pair === undefined || (pair.onlyMerged && !isRewritten))
    throw new ArgumentError(
      'the pair of files',
      pair === undefined
        ? `one of ${pairNames()}`
        : 'two formats (or --merge, or --out-model to rewrite an old net)',
      `${source.name} → ${target.name}`,
    );
  if (outputs !== undefined && source.namesValues !== true)
    throw new ArgumentError(
      'outputs',
      `none where the source is ${source.name}`,
      outputs,
      'only ONNX has names of values',
    );
  if (from === to) throw new ArgumentError('the target', 'another file than the source', to);
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
      `a net (--model net.prototxt): ${merge ? 'merging' : pair.onlyMerged ? 'rewriting' : target.name} needs it, since ${source.name} does not contain a net`,
      undefined,
    );
  const { merged, ...result } = merge ? mergeAffine(read as Network) : { ...read, merged: 0 };
  if (given !== null && read.net !== given)
    throw new ArgumentError('model', `nothing: ${source.name} contains its own net`, 'a net');
  const stem = to.slice(0, to.length - extension.length);
  const isNewNet = result.net !== null && (result.net !== given || options.outputModel !== undefined);
  const outputModel = isNewNet && !target.holdsNet ? (options.outputModel ?? `${stem}.prototxt`) : null;
  const preprocessFile =
    read.preprocess === undefined ? null : (options.preprocessFile ?? `${stem}.preprocess.json`);
  if (outputModel !== null && outputModel === model)
    throw new ArgumentError('outputModel', 'another file than the model', outputModel);
  // What the check would refuse is refused before anything is written.
  if (check && read.net !== null) blobsOf(graphFromCaffe(read.net), read.weights);
  const known =
    options.sourcePreprocess === undefined ? {} : { preprocess: loadPreprocess(options.sourcePreprocess) };
  await target.write!(to, { ...known, ...result });
  await removeIfChanged(to, from, read.weights);
  if (outputModel !== null) writeFileAtomically(outputModel, [printPrototxt(result.net!)]);
  if (preprocessFile !== null) savePreprocess(preprocessFile, read.preprocess!);
  return {
    files: [to, outputModel, preprocessFile].filter((path) => path !== null),
    check: check ? await checkFiles({ path: from, format: source, outputs }, to, read, result) : null,
    merged,
    preprocess: read.preprocess ?? null,
    notes: read.notes ?? [],
  };
}

/** Tensors of any names as a format of its own. */
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

// A net that is trained computes nothing that another format could hold but what its deploy net computes.
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

// Values are views of the source until they are written.
async function removeIfChanged(to: string, from: string, { layers }: WeightsFile): Promise<void> {
  try {
    for (const { blobs } of layers) for (const { bytes } of blobs) checkIntact(bytes, from);
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  }
}

/** `.caffemodel → .onnx` and so on, with commas between them. */
export function pairNames(): string {
  return conversions()
    .map(
      ({ from, to, onlyMerged }) =>
        `${from.extensions[0]} → ${to.extensions[0]}${onlyMerged ? (to.holdsNet ? ' (--merge)' : ' (--merge or --out-model)') : ''}`,
    )
    .join(', ');
}

// Whatever can be run by a program of its own is; the rest is what resnode reads back from disk.
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

// ONNX says more than resnode reads: how detections are picked.
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
