/**
 * ResNet-20 for Fashion-MNIST from its 60,000 images, with the settings of `npm run train-fashion`. All files of the
 * training are written first, so that `resnode train` (or Caffe) can repeat it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluateImages, savePreprocess, summariseOutcomes } from '../ts/api/images.ts';
import { dataLayers, linearSolver, openReport, trainingNet } from '../ts/api/train.ts';
import { solverText, trainingNetText } from '../ts/architectures/training-files.ts';
import { convertRawImages } from '../ts/data/convert-dataset.ts';
import { openNetData } from '../ts/data/open-net-data.ts';
import { readIdx } from '../ts/data/raw-images.ts';
import { type Device, printPrototxt, readCaffemodel, resnet, writeCaffemodel } from '../ts/index.ts';
import type { SolverEvent } from '../ts/train/events.ts';
import { Solver } from '../ts/train/solver.ts';

const SIZE = 28;
/** The mean of all training pixels, 0 to 255, rounded. */
const MEAN = 73;
const LABELS = 'T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot'.split(',');

export interface FashionOptions {
  readonly device: Device;
  /** The folder for the result and the files of the training. */
  readonly out: string;
  /** The folder of the databases; they are created if they do not exist. */
  readonly data: string;
  readonly epochs: number;
  readonly batch: number;
  readonly rate: number;
  readonly weightDecay: number;
  readonly seed: number;
  /**
   * A net of the table of architectures (docs/architectures.md), e.g. `preresnet-20` or `wrn-10-2`. Default resnet-20.
   */
  readonly architecture?: string;
  /** The number of training images and of test images, from the first on; by default all 60,000 and 10,000. */
  readonly trainImages?: number;
  readonly testImages?: number;
  readonly onEvent?: (event: SolverEvent) => void;
}

/**
 * Settings for the 93% that ResNet-20 is known to reach, and short ones that show in a minute or two that training
 * works.
 */
export const FULL = { epochs: 20, batch: 128, rate: 0.1, weightDecay: 5e-4, seed: 1 };
export const SHORT = { ...FULL, epochs: 3, trainImages: 12_000, testImages: 2_000 };

/** The folder of Debian's package, which is installed if possible; otherwise null, after the reason was printed. */
export function findFashion(): string | null {
  const script = fileURLToPath(new URL('../scripts/install-fashion-mnist.sh', import.meta.url));
  const found = spawnSync('bash', [script], { encoding: 'utf8' });
  if (found.status === 0) return found.stdout.trim();
  console.log(`skipped: no Fashion-MNIST (${found.stderr.trim().split('\n').at(-1)})`);
  return null;
}

/** Trains, evaluates the written model on the test images, and returns the share that it classifies correctly. */
export async function trainFashion(source: string, options: FashionOptions): Promise<number> {
  const { device, out, epochs, batch, rate, weightDecay, seed, onEvent } = options;
  const { architecture = 'resnet-20' } = options;
  const trainImages = options.trainImages ?? 60_000;
  const testImages = options.testImages ?? 10_000;
  mkdirSync(out, { recursive: true });
  const databases = {
    train: await database(source, 'train', trainImages, options.data),
    test: await database(source, 't10k', testImages, options.data),
  };
  const files = writeFiles(out, databases, { ...options, architecture, trainImages, testImages });

  const report = openReport(join(out, 'report.html'), `${files.net} on Fashion-MNIST`);
  let weights: string | null = null;
  try {
    const solver = new Solver({
      solver: files.solver,
      device,
      data: (net, { phase, seed: drawn }) =>
        openNetData(net, { phase, seed: drawn, augment: files.augment[phase] }),
    });
    for await (const event of solver.run()) {
      report.add(event);
      onEvent?.(event);
      if (event.type === 'done') weights = event.weights;
    }
    if (weights === null) throw new Error('the training ended without weights');
    const { name, layers } = readCaffemodel(new Uint8Array(readFileSync(weights)), { file: weights });
    writeCaffemodel(files.model, { name, layers: layers.filter(({ blobs }) => blobs.length > 0) });
    const right = await judge(device, files, source, testImages);
    report.addSection({
      title: 'The model on images that it was not trained with',
      rows: [
        ['right', `${right} of ${testImages}: ${((100 * right) / testImages).toFixed(2)}%`],
        [
          'recipe',
          `${trainImages} images, ${epochs} epochs, batch ${batch}, rate ${rate}, decay ${weightDecay}, seed ${seed}`,
        ],
        ['peak memory', `${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2)} GiB`],
      ],
    });
    return right / testImages;
  } finally {
    await report.close();
  }
}

/** Creates the database of the first `count` images, unless it exists. */
async function database(
  source: string,
  set: 'train' | 't10k',
  count: number,
  folder: string,
): Promise<string> {
  const path = join(folder, `${set}-${count}-lmdb`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const images = await readIdx(join(source, `${set}-images-idx3-ubyte.gz`));
  await convertRawImages({ ...images, labels: images.labels.subarray(0, count) }, path, 8);
  return path;
}

function writeFiles(
  out: string,
  databases: { readonly train: string; readonly test: string },
  {
    trainImages,
    testImages,
    epochs,
    batch,
    rate,
    weightDecay,
    seed,
    architecture,
  }: Required<Omit<FashionOptions, 'onEvent'>>,
) {
  const path = (name: string) => join(out, name);
  const made = resnet({
    name: architecture,
    channels: 1,
    size: SIZE,
    classes: 10,
    ...shortcutOf(architecture),
  });
  const deploy = { ...made, name: `${made.name}-Fashion` };
  const testBatch = 100;
  const net = trainingNet(deploy, {
    data: dataLayers({
      kind: 'lmdb',
      ...databases,
      batch,
      testBatch,
      crop: SIZE,
      mirror: true,
      mean: [MEAN],
      channels: 1,
    }),
    // The statistics of the last few dozen iterations. With Caffe's 0.999 a short training would end with statistics of
    // its beginning.
    movingAverageFraction: 0.97,
  });
  const iterations = Math.floor((epochs * trainImages) / batch);
  // So the last test is one of the trained net.
  const tests = [6, 5, 4, 3, 2].find((count) => iterations % count === 0) ?? 1;
  const solver = linearSolver({
    net: path('train_val.prototxt'),
    prefix: path(architecture.replace('-', '')),
    testIterations: testImages / testBatch,
    iterations,
    interval: iterations / tests,
    rate,
    weightDecay,
    type: 'Nesterov',
    seed,
  });
  // Shifts of up to two of 28 pixels, like four of 32 in the paper (section 4.2).
  const augment = { TRAIN: { pad: 2, shuffle: true }, TEST: {} };
  for (const [name, text] of Object.entries({
    'deploy.prototxt': printPrototxt(deploy),
    'train_val.prototxt': trainingNetText(net),
    'solver.prototxt': solverText(solver, [
      `resnode train --solver ${path('solver.prototxt')} --augment ${path('augment.json')}`,
    ]),
    'augment.json': `${JSON.stringify(augment, null, 2)}\n`,
    'labels.txt': LABELS.map((label) => `${label}\n`).join(''),
  }))
    writeFileSync(path(name), text);
  const preprocess = { resize: null, crop: { width: SIZE, height: SIZE }, mean: [MEAN] };
  savePreprocess(path('preprocess.json'), preprocess);
  return {
    net: made.name!,
    deploy: path('deploy.prototxt'),
    model: path('model.caffemodel'),
    solver: path('solver.prototxt'),
    augment,
    preprocess,
  };
}

/** Projections, as in the example's net; a plain net has no shortcuts. */
const shortcutOf = (architecture: string) =>
  architecture.startsWith('plain') ? {} : ({ shortcut: 'projection' } as const);

/** The number of the first test images that the written model classifies correctly. */
async function judge(
  device: Device,
  { deploy, model: weights, preprocess }: ReturnType<typeof writeFiles>,
  source: string,
  count: number,
): Promise<number> {
  const images = await readIdx(join(source, 't10k-images-idx3-ubyte.gz'));
  const samples = Array.from({ length: count }, (_, i) => ({
    image: {
      width: SIZE,
      height: SIZE,
      channels: 1 as const,
      data: images.image(i),
      file: `test image ${i}`,
    },
    label: images.labels[i]!,
  }));
  await using model = await device.load({ model: deploy, weights, batch: 100 });
  const { outcomes } = await evaluateImages(model, samples, { preprocess, batch: 100 });
  return summariseOutcomes(outcomes).top1.correct;
}
