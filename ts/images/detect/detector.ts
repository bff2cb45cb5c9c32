/**
 * Detects objects in images in one call: decoding, preprocessing, a net and its boxes. Requests form batches automatically.
 */
import { ArgumentError, DetectorError } from '../../base/errors.ts';
import { integer, list, number, signal } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import { readModel } from '../../device/load-options.ts';
import type { Model, Outputs } from '../../device/model.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import { imageInput, inputsOf } from '../features/image-input.ts';
import { type AnyImage, imageArgument } from '../image.ts';
import { ImageService } from '../service/image-service.ts';
import { openWholeImages } from '../service/open-whole-images.ts';
import { type ServiceOptions, serviceRows } from '../service/options.ts';
import { classNames, filesOf, type TaskFiles, taskSource, wholePreprocessOf } from '../service/task-files.ts';
import type { WholeImageQueue } from '../service/whole-image.ts';
import type { WholePreprocess } from '../whole.ts';
import { type ImageRows, rowsOfImages, ssdBoxes } from './boxes.ts';
import type { Detection, Found } from './detection.ts';
import {
  type DetectorHead,
  findDetectorHead,
  outputsOf,
  rowsBlobOf,
  usualResize,
  yoloField,
} from './head.ts';
import { type RegionOptions, regionBoxes } from './region-boxes.ts';

/** Options of a detector. */
export interface DetectorOptions extends ServiceOptions {
  /**
   * The largest overlap (intersection over union) of two boxes of one class. Default: the value in SSD's net; 0.5 for
   * MS-CNN, and 0.3 for the others, as in py-faster-rcnn's TEST.NMS and in Cascade R-CNN's script for VOC.
   */
  readonly nms?: number;
  /**
   * The factors of the box regressions of Faster R-CNN, R-FCN and MS-CNN (BBOX_NORMALIZE_STDS), if the weights do not
   * include them. Default [1, 1, 1, 1].
   */
  readonly boxStds?: readonly number[];
  /** The values that are then added (BBOX_NORMALIZE_MEANS). Default [0, 0, 0, 0]. */
  readonly boxMeans?: readonly number[];
}

/** Options of detecting objects in one image. */
export interface DetectOptions {
  /** The lowest score of an object that is returned. SSD's own confidence_threshold applies in addition. Default 0.5. */
  readonly minScore?: number;
  /** The number of objects to return, those with the highest scores. Default 100. */
  readonly top?: number;
  /** Cancels the request; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const four = list(number(), { of: 'numbers', exactly: 4 });

const detectorOptions = options<DetectorOptions>({
  ...serviceRows,
  nms: optional(
    number({ from: 0, to: 1 }),
    "SSD's own; 0.5 for MS-CNN, 0.3 for others",
    'The largest allowed overlap (intersection over union) of two boxes of one class.',
  ),
  boxStds: optional(
    four,
    '1,1,1,1',
    'The factors that box regressions of Faster R-CNN, R-FCN and MS-CNN are multiplied by if the weights do not include them.',
  ),
  boxMeans: optional(four, '0,0,0,0', 'The values that are then added to the regressions.'),
});

const detectOptions = options<DetectOptions>({
  minScore: optional(number({ from: 0, to: 1 }), '0.5', 'The lowest score of an object that is returned.'),
  top: optional(integer(1), '100', 'How many objects to return, those with the highest scores.'),
  signal: optional(signal, 'none', "Cancels the request; the promise rejects with the signal's reason."),
});

const OPEN_DETECTOR = signature('openDetector', {
  source: required(taskSource, 'A model folder, or its files.'),
  options: optional(detectorOptions, 'none', 'How to detect.'),
});
const DETECT = signature('detector.detect', {
  image: imageArgument,
  options: optional(detectOptions, 'none', 'How to detect objects in this image.'),
});

/**
 * Opens a detector and warms it up. The layers of the net determine its kind: SSD (DetectionOutput), YOLO, Faster R-CNN,
 * R-FCN, MS-CNN or Cascade R-CNN. Without a `resize` in the preprocessing, images for SSD, YOLO and MS-CNN are resized to
 * the net's input; images for Cascade R-CNN keep their aspect ratio within its sides; and images for the others get a
 * shorter side of 600 pixels and a longer side of at most 1000, as in py-faster-rcnn.
 * @param source A model folder, or its files.
 * @throws GraphError `detector/no-head` if the net is not a detector; ArgumentError if a file is missing or does not fit.
 * `preprocess` is required, too, because the preprocessing of the training cannot be guessed. Also the errors of
 * `openDevice` and `device.load`.
 * @example
 * await using detector = await openDetector('mobilenet-ssd');
 * for (const { label, score, box } of await detector.detect('street.jpg')) console.log(label, score, box);
 */
export async function openDetector(
  source: string | URL | TaskFiles,
  options: DetectorOptions = {},
): Promise<Detector> {
  OPEN_DETECTOR.check(source, options);
  const files = filesOf(source);
  const given = wholePreprocessOf(files);
  const net = readModel({ model: files.model });
  const graph = graphFromCaffe(net);
  const head = findDetectorHead(net, graph);
  checkRegressionOptions(head, options);
  const labels = classNames(files.labels, head.classes, head.background);
  const imageInfo = head.kind === 'regions' ? head.imageInfo : null;
  const input = imageInput({ inputs: inputsOf(graph, imageInfo) });
  const { resize = usualResize(head, input.size) } = given;
  const preprocess = { ...given, resize };
  const { nms } = options;
  return openWholeImages<Raw, Detector>(
    {
      name: 'detector',
      refusal: (why, message) => new DetectorError(`detector/${why}`, message),
      net: head.kind === 'ssd' && nms !== undefined ? withOverlap(net, head.layer, nms) : net,
      outputs: outputsOf(head),
      rows: rowsBlobOf(head),
      split: (outputs, images) => (head.kind === 'ssd' ? rowsOfImages(head, outputs, images) : [outputs]),
      ...{ input, imageInfo, preprocess },
    },
    files,
    options,
    (model, queue) => new Detector({ model, head, labels, preprocess, queue, options }),
  );
}

/** @throws ArgumentError if the net decodes its boxes itself, so that the options would have no effect */
function checkRegressionOptions({ kind }: DetectorHead, options: DetectorOptions): void {
  if (kind === 'regions' || kind === 'mscnn') return;
  for (const name of ['boxStds', 'boxMeans'] as const)
    if (options[name] !== undefined)
      throw new ArgumentError(
        `options.${name}`,
        `nothing: ${kind === 'ssd' ? 'the layer of detections' : 'DecodeBBox'} of this net decodes its boxes`,
        options[name],
      );
}

/** The data of one image: SSD's rows, or the outputs of a run. */
type Raw = ImageRows | Outputs;

interface DetectorParts {
  readonly model: Model;
  readonly head: DetectorHead;
  readonly labels: readonly string[];
  readonly preprocess: WholePreprocess;
  readonly queue: WholeImageQueue<Raw>;
  readonly options: DetectorOptions;
}

/** Detects objects in images; created by `openDetector`. You may call it many times concurrently. */
export class Detector extends ImageService {
  /** The class names in the order of the net's classes, including the background. */
  readonly labels: readonly string[];
  /** The index of the background class; null if there is none. */
  readonly background: number | null;
  /** How images are prepared. */
  readonly preprocess: WholePreprocess;
  readonly #parts: DetectorParts;
  readonly #regions: RegionOptions;

  /**
   * Use `openDetector`.
   * @internal
   */
  constructor(parts: DetectorParts) {
    super(parts.model, parts.queue);
    const {
      nms = parts.head.kind === 'mscnn' ? 0.5 : 0.3,
      boxStds = [1, 1, 1, 1],
      boxMeans = [0, 0, 0, 0],
    } = parts.options;
    this.#parts = parts;
    this.#regions = { nms, stds: boxStds, means: boxMeans };
    this.labels = parts.labels;
    this.background = parts.head.background;
    this.preprocess = parts.preprocess;
  }

  /**
   * Finds the objects in an image.
   * @param image A path, a `file:` URL, the bytes of an image file, or decoded pixels.
   * @returns Objects with boxes in the image's own pixels, the highest score first
   * @throws DetectorError: `detector/busy` if `maxQueue` images are already waiting, `detector/closed`,
   * `detector/not-finite`; ImageError as in `decodeImage`; the signal's reason
   * @example const people = (await detector.detect('street.jpg')).filter(({ label }) => label === 'person');
   */
  async detect(image: AnyImage, options: DetectOptions = {}): Promise<Detection[]> {
    DETECT.check(image, options);
    const { minScore = 0.5, top = 100, signal } = options;
    const { head, queue } = this.#parts;
    const found = await queue.ask(
      image,
      (raw, placement): Found[] =>
        head.kind === 'ssd'
          ? ssdBoxes(raw as ImageRows, minScore, placement, head.form)
          : regionBoxes(head, raw as Outputs, minScore, placement, this.#regions),
      signal,
    );
    return [...found]
      .sort((a, b) => b.score - a.score)
      .slice(0, top)
      .map(({ index, score, box }) => ({ label: this.labels[index] ?? `class ${index}`, index, score, box }));
  }
}

/** The net with another overlap threshold in the layer that outputs boxes. */
function withOverlap(net: NetParameter, name: string, nms: number): NetParameter {
  return {
    ...net,
    layer: (net.layer ?? []).map((layer) => (layer.name === name ? withNms(layer, nms) : layer)),
  };
}

function withNms(layer: LayerParameter, nms: number): LayerParameter {
  if (layer.type === 'DetectionOutput') {
    const param = layer.detection_output_param as { nms_param?: object } | undefined;
    if (layer.bottom?.length === 1)
      return { ...layer, detection_output_param: { ...param, nms_threshold: nms } };
    return {
      ...layer,
      detection_output_param: { ...param, nms_param: { ...param?.nms_param, nms_threshold: nms } },
    };
  }
  const field = yoloField(layer.type);
  return { ...layer, [field]: { ...layer[field], nms_threshold: nms } };
}
