/** Trains an SSD that finds shapes, and a fully convolutional net that classifies every pixel. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSolverFile, Solver, type SolverEvent } from '../../ts/api/train.ts';
import { openNetData } from '../../ts/data/open-net-data.ts';
import type { Device } from '../../ts/index.ts';
import { BORDER, CLASSES, drawPicture, inputOf, type Picture, SIZE } from './draw-shapes.ts';
import { type Detection, meanAveragePrecision } from './score-shapes.ts';
import { TEST_SEED, writeDetectorData, writeSegmenterData } from './write-databases.ts';

export interface ShapesOptions {
  readonly device: Device;
  /** The folder for the databases and the weights. */
  readonly out: string;
  /** Default: the solver's. */
  readonly iterations?: number;
  readonly onEvent?: (event: SolverEvent) => void;
}

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Pictures for the evaluation after the training. */
export const unseenPictures = (count = 100): Picture[] =>
  Array.from({ length: count }, (_, i) => drawPicture(2 * TEST_SEED + i));

/** Trains and returns the path of the weights. */
async function train(name: 'detector' | 'segmenter', options: ShapesOptions): Promise<string> {
  const { device, out, iterations, onEvent } = options;
  mkdirSync(out, { recursive: true });
  await (name === 'detector' ? writeDetectorData : writeSegmenterData)(out);
  const solver = new Solver({
    solver: {
      ...readSolverFile(file(`${name}-solver.prototxt`)),
      net: file(`${name}.prototxt`),
      snapshot_prefix: join(out, name),
      ...(iterations === undefined ? {} : { max_iter: iterations, test_interval: iterations }),
    },
    device,
    data: (net, { phase, seed }) => openNetData(net, { phase, seed, folder: out }),
  });
  let weights: string | null = null;
  for await (const event of solver.run()) {
    onEvent?.(event);
    if (event.type === 'done') weights = event.weights;
  }
  if (weights === null) throw new Error('the training ended without weights');
  return weights;
}

/** The detections on pictures that the detector has not seen, and its mean average precision on them. */
export async function trainDetector(
  options: ShapesOptions,
): Promise<{ weights: string; meanPrecision: number; found: Detection[][]; pictures: Picture[] }> {
  const weights = await train('detector', options);
  const pictures = unseenPictures();
  using net = await options.device.load({ model: file('detector-deploy.prototxt'), weights, batch: 1 });
  const found: Detection[][] = [];
  for (const picture of pictures) {
    const { detection_out } = await net.run({ data: inputOf(picture) });
    const rows = detection_out!.data;
    found.push(
      Array.from({ length: rows.length / 7 }, (_, i): Detection => {
        const [, label, score, xmin, ymin, xmax, ymax] = rows.subarray(
          7 * i,
          7 * i + 7,
        ) as unknown as number[];
        return { label: label!, score: score!, xmin: xmin!, ymin: ymin!, xmax: xmax!, ymax: ymax! };
      }).filter(({ label }) => label > 0),
    );
  }
  const meanPrecision = meanAveragePrecision(
    pictures.map(({ annotations }) => annotations),
    found,
    CLASSES.length,
  );
  return { weights, meanPrecision, found, pictures };
}

/** The classes of the pixels of pictures that the segmentation net has not seen, and its mean IU on them. */
export async function trainSegmenter(
  options: ShapesOptions,
): Promise<{ weights: string; meanOverlap: number; maps: Float32Array[]; pictures: Picture[] }> {
  const weights = await train('segmenter', options);
  const pictures = unseenPictures();
  using net = await options.device.load({ model: file('segmenter-deploy.prototxt'), weights, batch: 1 });
  const maps: Float32Array[] = [];
  for (const picture of pictures)
    maps.push((await net.run({ data: inputOf(picture) })).classes!.data.slice());
  const [both, either] = [CLASSES.map(() => 0), CLASSES.map(() => 0)];
  pictures.forEach(({ classes }, k) => {
    for (let i = 0; i < SIZE * SIZE; i++) {
      const [wanted, found] = [classes[i]!, maps[k]![i]!];
      if (wanted === BORDER) continue;
      if (wanted === found) both[wanted]!++;
      else either[found]!++;
      either[wanted]!++;
    }
  });
  const meanOverlap = both.reduce((sum, count, c) => sum + count / either[c]!, 0) / CLASSES.length;
  return { weights, meanOverlap, maps, pictures };
}
