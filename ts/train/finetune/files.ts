/** Writes the files that fine-tuning needs before it trains: split, nets, solver and augmentation. */
import { statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { dataLayers } from '../../architectures/data-layers.ts';
import type { PhaseAugment } from '../../architectures/paper-training.ts';
import { linearSolver } from '../../architectures/solver-presets.ts';
import { solverText, trainingNetText } from '../../architectures/training-files.ts';
import {
  classifierOf,
  replaceHead,
  trainingNet,
  withExclusiveClasses,
  withIndependentClasses,
} from '../../architectures/training-net.ts';
import { ArgumentError } from '../../base/errors.ts';
import { makeFolder } from '../../base/files.ts';
import { shellWord } from '../../base/shell-words.ts';
import { writeFileAtomically } from '../../caffe/atomic-file.ts';
import { type NetParameter, readNetFile } from '../../caffe/net-parameter.ts';
import { printPrototxt } from '../../caffe/print.ts';
import type { SolverParameter } from '../../caffe/solver-parameter.ts';
import type { Augment } from '../../data/augment.ts';
import type { Preprocess, TunedPreprocess } from '../../images/preprocess.ts';
import { savePreprocess } from '../../images/preprocess-file.ts';
import type { Split } from './split.ts';

/** The settings of the training, with defaults. */
export interface Recipe {
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly headRate: number;
  readonly batchNorm: 'frozen' | 'live';
  readonly weightDecay: number;
  readonly seed: number;
  /**
   * The factor of each class in the loss; `balanced`: inversely proportional to its number of images. Default: none.
   */
  readonly classWeights?: 'balanced' | readonly number[] | undefined;
  /** Default `shuffled`. */
  readonly sampling?: 'shuffled' | 'balanced' | undefined;
}

export interface FinetuneFiles {
  /** The deploy net with the new head. */
  readonly deploy: NetParameter;
  readonly head: string;
  /** The solver's file. */
  readonly solver: string;
  readonly augment: Augments;
  readonly preprocess: Preprocess;
  /** Files for use are in `out`, all others in `out/training`. */
  readonly paths: Readonly<
    Record<'model' | 'weights' | 'labels' | 'preprocess' | 'report' | 'readme', string>
  >;
}

/** The net to fine-tune, and its settings. */
export interface FinetuneSource {
  readonly folder: string;
  readonly model: string;
  readonly weights: string;
  readonly preprocess: TunedPreprocess;
  readonly maxPixels?: number;
}

/** The options of PhaseAugment, and the path of the mean image. */
export interface Augments {
  readonly TRAIN: PhaseAugment['TRAIN'] & FileAugment;
  readonly TEST: PhaseAugment['TEST'] & FileAugment;
}

type FileAugment = Pick<Augment, 'meanOfCrop' | 'orientation' | 'maxPixels' | 'window' | 'balanced'>;

/**
 * Reads the net, replaces its head for the classes of the split, and writes all files that the training reads.
 * Augmentation draws scales between that of the preprocessing and one that is a quarter larger.
 * @throws ArgumentError if net and preprocessing do not fit together; PrototxtError; ResnodeError `file/write`
 */
export function writeFinetuneFiles(
  out: string,
  source: FinetuneSource,
  split: Split,
  recipe: Recipe,
): FinetuneFiles {
  const original = readNetFile(source.model);
  const { input, shape } = classifierOf(original);
  const [, channels, height, width] = shape as [number, number, number, number];
  if ((channels !== 3 && channels !== 1) || height !== width)
    throw new ArgumentError('model', 'a square input with 1 or 3 channels', shape.join('×'));
  const given = {
    // 256 for 224, as MSRA tested its nets.
    resize: { shorterSide: Math.round((width * 256) / 224) },
    ...source.preprocess,
  };
  for (const name of ['std', 'interpolation', 'depth'] as const)
    if (given[name] !== undefined && given[name] !== 'bytes' && given[name] !== 8)
      throw new ArgumentError(
        `preprocess.${name}`,
        name === 'depth'
          ? '8: fine-tuning uses images of 8 bits; a window (--window CENTRE,WIDTH) maps values of 16 bits to them'
          : "none: fine-tuning uses Caffe's transform_param, which has no such field (it has scale)",
        given[name],
      );
  if (given.order === 'RGB')
    throw new ArgumentError(
      'preprocess.order',
      '"BGR": Caffe\'s ImageData layer gives no other',
      given.order,
    );
  if ('shape' in given.mean && given.mean.shape.slice(-2).some((side) => side !== width))
    throw new ArgumentError(
      'mean',
      `values, or a mean image of the net's input, ${height}×${width}`,
      given.mean.shape.join('×'),
    );
  const preprocess: Preprocess = { ...given, crop: { width, height } };
  const replaced = replaceHead(original, split.classes.length);
  // The task of the original net does not matter: each image in a class's folder has one class.
  const deploy = split.several ? withIndependentClasses(replaced) : withExclusiveClasses(replaced);
  const head = classifierOf(deploy).head.name!;
  const stem = deploy.layer?.find(({ type }) => type === 'Convolution')?.name;

  const weights = classWeightsOf(recipe, split);
  const training = join(out, 'training');
  makeFolder(training);
  const inside = (name: string) => join(training, name);
  const paths = {
    model: join(out, 'model.prototxt'),
    weights: join(out, 'model.caffemodel'),
    labels: join(out, 'labels.txt'),
    preprocess: join(out, 'preprocess.json'),
    report: join(out, 'report.html'),
    readme: join(out, 'README.md'),
  };
  const { resize, mean, scale = 1 } = preprocess;
  const rootFolder = statSync(source.folder).isDirectory() ? source.folder : dirname(source.folder);
  const testBatch = testBatchOf(split.val.length, recipe.batch);
  const data = dataLayers({
    kind: 'list',
    train: inside('train.txt'),
    test: inside('val.txt'),
    rootFolder,
    batch: recipe.batch,
    testBatch,
    input,
    crop: width,
    mirror: true,
    mean: 'shape' in mean ? `${paths.preprocess}.mean.binaryproto` : mean,
    scale,
    channels,
    ...(resize !== null && 'width' in resize ? { resize } : {}),
  });
  const unweighted = trainingNet(deploy, {
    data,
    batchNorm: recipe.batchNorm,
    // The first convolution's weights multiply pixels from 0 to 255, so a rate that suits the other layers is about 58²
    // times too large for it, and frozen statistics do not counteract that. Its weights stay unchanged, since its
    // inputs are still photographs.
    rateOf: ({ name }) => (name === head ? recipe.headRate : name === stem ? 0 : 1),
    headFiller: { type: 'gaussian', std: 0.01 },
  });
  const net: NetParameter =
    weights === null
      ? unweighted
      : {
          ...unweighted,
          layer: unweighted.layer!.map((layer) =>
            layer.type === 'SoftmaxWithLoss'
              ? { ...layer, loss_param: { ...layer.loss_param, class_weight: weights } }
              : layer,
          ),
        };
  const perEpoch = Math.ceil(split.train.length / recipe.batch);
  const solver: SolverParameter = {
    ...linearSolver({
      net: inside('train_val.prototxt'),
      prefix: inside('snapshot'),
      testIterations: Math.ceil(split.val.length / testBatch),
      iterations: recipe.epochs * perEpoch,
      interval: perEpoch,
      rate: recipe.rate,
      weightDecay: recipe.weightDecay,
      seed: recipe.seed,
    }),
    snapshot: 0,
    test_compute_loss: true,
  };
  const side = resize !== null && 'shorterSide' in resize ? resize.shorterSide : null;
  const both: FileAugment = {
    ...('shape' in mean ? { meanOfCrop: true } : {}),
    ...(preprocess.orientation === undefined ? {} : { orientation: preprocess.orientation }),
    ...(preprocess.window === undefined ? {} : { window: preprocess.window }),
    ...(source.maxPixels === undefined ? {} : { maxPixels: source.maxPixels }),
  };
  const augment: Augments = {
    TRAIN: {
      ...(side === null ? {} : { shorterSide: [side, Math.round(1.25 * side)] }),
      ...both,
      ...(recipe.sampling === 'balanced' ? { balanced: true } : {}),
    },
    TEST: { ...(side === null ? {} : { shorterSide: side }), ...both },
  };

  savePreprocess(paths.preprocess, preprocess);
  const command = [
    `resnode train --solver ${shellWord(inside('solver.prototxt'))} --weights ${shellWord(source.weights)}`,
    `  --augment ${shellWord(inside('augment.json'))}`,
  ];
  for (const [path, text] of [
    [paths.model, printPrototxt(deploy)],
    [paths.labels, split.classes.map((name) => `${name}\n`).join('')],
    [inside('train.txt'), listText(split.train, rootFolder, split.classes.length)],
    [inside('val.txt'), listText(split.val, rootFolder, split.classes.length)],
    [inside('train_val.prototxt'), trainingNetText(net)],
    [inside('solver.prototxt'), solverText(solver, command)],
    [inside('augment.json'), `${JSON.stringify(augment, null, 2)}\n`],
  ] as const)
    writeFileAtomically(path, [text]);
  return { deploy, head, solver: inside('solver.prototxt'), augment, preprocess, paths };
}

/** `balanced`: images / (classes · images of the class), which is 1 on average over the images. */
function classWeightsOf(
  { classWeights, sampling }: Recipe,
  { classes, train, several }: Split,
): number[] | null {
  if (several && (classWeights !== undefined || sampling === 'balanced'))
    throw new ArgumentError(
      classWeights === undefined ? 'sampling' : 'classWeights',
      'none with several labels per image: SigmoidCrossEntropyLoss has no weights, and an image belongs to several classes',
      classWeights ?? sampling,
    );
  if (classWeights === undefined) return null;
  if (classWeights !== 'balanced') {
    if (classWeights.length !== classes.length)
      throw new ArgumentError(
        'classWeights',
        `${classes.length} numbers, one for each of ${classes
          .slice(0, 8)
          .map((name) => `"${name}"`)
          .join(', ')}${classes.length > 8 ? ', …' : ''}`,
        classWeights,
      );
    return [...classWeights];
  }
  const counts = Array<number>(classes.length).fill(0);
  for (const { label } of train) counts[label]!++;
  return counts.map((count) => Math.fround(train.length / (classes.length * count)));
}

/**
 * The largest batch size, of at least half the maximum, that divides the number of images, so that each is tested once;
 * the maximum if there is none.
 */
function testBatchOf(images: number, batch: number): number {
  const most = Math.min(images, Math.max(8, batch));
  for (let size = most; size > most / 2; size--) if (images % size === 0) return size;
  return most;
}

/** `path label`, or `path 1 0 1` for images with any number of labels. */
function listText(images: Split['train'], folder: string, classes: number): string {
  return images
    .map(({ image, label, labels }) => {
      const path = relative(folder, image);
      if (/[\r\n]/.test(path))
        throw new ArgumentError(
          'images',
          "file names without line breaks, which Caffe's lists cannot hold",
          path,
        );
      if (labels === undefined) return `${path} ${label}\n`;
      const values = Array.from({ length: classes }, (_, each) => (labels.includes(each) ? 1 : 0));
      return `${path} ${values.join(' ')}\n`;
    })
    .join('');
}
