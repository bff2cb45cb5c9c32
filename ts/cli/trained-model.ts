/** `resnode train --out`: writes the trained net as a model folder. */
import { basename, join } from 'node:path';
import { ArgumentError, GraphError, ResnodeError } from '../base/errors.ts';
import { makeFolder } from '../base/files.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { checkSolver } from '../caffe/check-solver.ts';
import { type ModelTask, writeModelReadme } from '../caffe/model-folder.ts';
import { filterNet, type LayerParameter, type NetParameter, withDefaults } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { readWeights } from '../caffe/read-weights.ts';
import type { SolverParameter } from '../caffe/solver-parameter.ts';
import { saveCaffemodel } from '../caffe/write-caffemodel.ts';
import { deployNet } from '../convert/deploy-net.ts';
import { taskOfNet } from '../convert/task-of-net.ts';
import { type Augment, readAugment } from '../data/augment.ts';
import { readDatabaseOrder } from '../data/database-order.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { imageInput, inputsOf } from '../images/features/image-input.ts';
import type { Size } from '../images/geometry.ts';
import { readLabels } from '../images/labels.ts';
import { readMean } from '../images/mean-file.ts';
import type { Preprocess } from '../images/preprocess.ts';
import { saveAnyPreprocess } from '../images/preprocess-file.ts';
import { findSegmenterHead, takesAnySize } from '../images/segment/head.ts';
import type { WholePreprocess } from '../images/whole.ts';
import { mapFile } from '../native/host-memory.ts';
import type { DoneEvent } from '../train/events.ts';
import { findFile, readSolverNet, solverFile } from '../train/solver-nets.ts';

export interface TrainedModel {
  readonly out: string;
  readonly solver: SolverParameter;
  readonly augment: string | undefined;
  readonly labels: string | undefined;
}

/**
 * Derives the deploy net and reads the labels before the training begins, so that a net that cannot be deployed, and labels
 * of other classes, are refused before hours of work.
 */
export async function plannedModel({ solver, augment, labels }: TrainedModel): Promise<{
  readonly deploy: NetParameter;
  readonly task: ModelTask;
  readonly preprocess: Preprocess | WholePreprocess | null;
  readonly labels: readonly string[] | null;
}> {
  const { net } = readSolverNet(checkSolver(solver).train, solverFile(solver));
  const deploy = await deployNet(net);
  const { task, classes } = taskOfNet(deploy);
  const made = {
    deploy,
    task,
    labels: labels === undefined ? null : readLabels(labels, classes ?? undefined),
  };
  const [, , height, width] = inputShape(deploy);
  if (height === undefined || width === undefined) return { ...made, preprocess: null };
  const tested = filterNet(net, { phase: 'TEST' });
  const augmentation = augment === undefined ? {} : readAugment(augment, 'TEST');
  const pictures = tested.layer?.find(({ type }) => type === 'ImageSegData');
  if (pictures !== undefined)
    return { ...made, preprocess: wholePreprocessOf(pictures, augmentation, deploy, { width, height }) };
  return { ...made, preprocess: preprocessOf(tested, augmentation, { width, height }, solverFile(solver)) };
}

/** The shape of the first Input layer; empty if there is none. */
function inputShape({ layer = [] }: NetParameter): readonly number[] {
  const { shape = [] } = (layer.find(({ type }) => type === 'Input')?.input_param ?? {}) as {
    shape?: readonly { dim?: readonly (number | bigint)[] }[];
  };
  return (shape[0]?.dim ?? []).map(Number);
}

/**
 * Writes the folder from the last snapshot.
 * @returns Its files
 * @throws ResnodeError `file/write`
 */
export async function writeTrainedModel(
  { out, solver }: TrainedModel,
  { deploy, task, preprocess, labels }: Awaited<ReturnType<typeof plannedModel>>,
  { weights, iteration, smoothedLoss }: DoneEvent,
): Promise<string[]> {
  if (weights === null)
    throw new ResnodeError('train/no-weights', `no snapshot was written, so ${out} would have no weights`);
  makeFolder(out);
  const at = (name: string) => join(out, name);
  const kept = new Set(deploy.layer?.map(({ name }) => name));
  const { layers } = await readWeights(weights, mapFile);
  await saveCaffemodel(at('model.caffemodel'), {
    name: deploy.name ?? '',
    layers: layers.filter(({ name, blobs }) => kept.has(name) && blobs.length > 0),
  });
  writeFileAtomically(at('model.prototxt'), [printPrototxt(deploy)]);
  if (preprocess !== null) saveAnyPreprocess(at('preprocess.json'), preprocess);
  if (labels !== null) writeFileAtomically(at('labels.txt'), [labels.map((name) => `${name}\n`).join('')]);
  const readme = writeModelReadme(out, {
    title: deploy.name ?? basename(out),
    task,
    madeBy: 'resnode train',
    facts: [
      ['solver', basename(solverFile(solver) ?? 'of code')],
      ['iterations', `${iteration}`],
      ...(smoothedLoss === null ? [] : [['loss', String(Number(smoothedLoss.toPrecision(4)))] as const]),
    ],
  });
  const files = ['model.prototxt', 'model.caffemodel', ...(preprocess === null ? [] : ['preprocess.json'])];
  return [...files.map(at), ...(labels === null ? [] : [at('labels.txt')]), readme];
}

/**
 * The preprocessing of a test net, if the net determines all of it: images of a list, or a database whose images have the
 * size of the net's input. Null if a part of it happened before the data was written.
 */
function preprocessOf(
  net: NetParameter,
  augment: Augment,
  crop: Preprocess['crop'],
  namedIn: string | undefined,
): Preprocess | null {
  const layer = (net.layer ?? []).find(({ type }) => type === 'ImageData' || type === 'Data');
  if (layer === undefined || augment.pad !== undefined || Array.isArray(augment.shorterSide)) return null;
  const { scale, crop_size: cropSize, mean_file: file, mean_value: values = [] } = transformOf(layer);
  const resize = resizeOf(layer, augment, crop, cropSize);
  if (resize === undefined) return null;
  const database = (layer.data_param as { source?: string } | undefined)?.source;
  const order = database === undefined ? null : readDatabaseOrder(findFile(database, namedIn));
  return {
    resize,
    crop,
    mean: file !== undefined ? readMean(findFile(file, namedIn)) : values.length === 0 ? [0] : values,
    scale,
    ...(order === null ? {} : { order }),
    ...(augment.orientation === undefined ? {} : { orientation: augment.orientation }),
  };
}

/**
 * The preprocessing of a segmenter whose training read images with ImageSegData: images keep the size that ImageSegData
 * gives them. Training crops them; a net with a fixed input size gets the whole image, padded with the mean as at the edge
 * of a crop.
 */
function wholePreprocessOf(
  pictures: LayerParameter,
  { orientation }: Augment,
  deploy: NetParameter,
  input: Size,
): WholePreprocess {
  const { scale, mean_value: values = [] } = transformOf(pictures);
  const { new_width: width, new_height: height } = newSize(pictures);
  const resize = width > 0 && height > 0 ? { width, height } : null;
  const fits = resize !== null && resize.width <= input.width && resize.height <= input.height;
  const isInput = resize?.width === input.width && resize.height === input.height;
  const pads = !isInput && (fits || !isOfAnySize(deploy));
  return {
    ...{ resize, mean: values.length === 0 ? [0] : values, scale },
    ...(pads ? { pad: input } : {}),
    ...(orientation === undefined ? {} : { orientation }),
  };
}

function isOfAnySize(deploy: NetParameter): boolean {
  const graph = graphFromCaffe(deploy);
  try {
    const { blob } = findSegmenterHead(deploy, graph);
    return takesAnySize(deploy, imageInput({ inputs: inputsOf(graph, null) }), blob);
  } catch (error) {
    // With label_type: IMAGE it is not a segmenter.
    if (error instanceof GraphError) return false;
    throw error;
  }
}

const newSize = (layer: LayerParameter) =>
  withDefaults<{ new_width: number; new_height: number }>('ImageDataParameter', layer.image_data_param);

const transformOf = (layer: LayerParameter) =>
  withDefaults<{ scale: number; crop_size: number; mean_file?: string; mean_value?: number[] }>(
    'TransformationParameter',
    layer.transform_param,
  );

/** Undefined if nothing sets the size. */
function resizeOf(
  layer: LayerParameter,
  { shorterSide }: Augment,
  crop: Preprocess['crop'],
  cropSize: number,
): Preprocess['resize'] | undefined {
  if (typeof shorterSide === 'number') return { shorterSide };
  if (layer.type === 'Data') return cropSize === 0 ? crop : undefined;
  const { new_width: width, new_height: height } = newSize(layer);
  return width > 0 && height > 0 ? { width, height } : null;
}

/** @throws ArgumentError for flags that have no effect without --out */
export function checkOutFlags(flags: {
  readonly out?: string;
  readonly labels?: string;
  readonly overwrite?: boolean;
}): void {
  if (flags.out !== undefined) return;
  for (const name of ['labels', 'overwrite'] as const)
    if (flags[name] !== undefined) throw new ArgumentError(`--${name}`, 'nothing without --out', flags[name]);
}
