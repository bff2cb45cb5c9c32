/**
 * Segments images in one call into maps of classes or edges: decoding, preprocessing and a net. Requests form batches
 * automatically.
 */
import { ArgumentError, SegmenterError } from '../../base/errors.ts';
import { signal, string } from '../../base/kinds.ts';
import { describeNotFinite, notFinite } from '../../base/not-finite.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { readModel } from '../../device/load-options.ts';
import type { Model, Outputs } from '../../device/model.ts';
import type { Tensor } from '../../device/tensor.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import { imageInput, inputsOf } from '../features/image-input.ts';
import { type AnyImage, imageArgument } from '../image.ts';
import { ImageService } from '../service/image-service.ts';
import { openWholeImages } from '../service/open-whole-images.ts';
import { type ServiceOptions, serviceRows } from '../service/options.ts';
import { classNames, filesOf, type TaskFiles, taskSource, wholePreprocessOf } from '../service/task-files.ts';
import type { WholeImageQueue } from '../service/whole-image.ts';
import type { Placement, WholePreprocess } from '../whole.ts';
import { findSegmenterHead, type SegmenterHead, takesAnySize } from './head.ts';
import { mapOfImage } from './score-map.ts';
import { areasOf, type Segmentation } from './segmentation.ts';

/** Options of a segmenter. */
export interface SegmenterOptions extends ServiceOptions {
  /**
   * The blob with the scores, N×C×H×W, or with the output of a Sigmoid, N×1×H×W. Default: the net's last output; for HED the
   * fused map.
   */
  readonly output?: string;
}

/** Options of segmenting one image. */
export interface SegmentOptions {
  /** Cancels the request; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

const segmenterOptions = options<SegmenterOptions>({
  ...serviceRows,
  output: optional(
    string,
    "the net's last output",
    'The blob with the scores, N×C×H×W, or with the output of a Sigmoid, N×1×H×W.',
  ),
});

const segmentOptions = options<SegmentOptions>({
  signal: optional(signal, 'none', "Cancels the request; the promise rejects with the signal's reason."),
});

const OPEN_SEGMENTER = signature('openSegmenter', {
  source: required(taskSource, 'A model folder, or its files.'),
  options: optional(segmenterOptions, 'none', 'How to segment.'),
});
const SEGMENT = signature('segmenter.segment', {
  image: imageArgument,
  options: optional(segmentOptions, 'none', 'How to segment this image.'),
});

/**
 * Opens a segmenter. The layers of the net determine its kind: scores of classes (FCN, DeepLab, PSPNet), possibly followed
 * by a Softmax or an ArgMax, or edges (HED). Without a `resize` in the preprocessing, images keep their size if the net is
 * fully convolutional, and are otherwise resized to its input.
 * @param source A model folder, or its files.
 * @throws GraphError `segmenter/no-map` if the net is not a segmenter; ArgumentError if a file is missing or does not fit.
 * `preprocess` is required, too, because the preprocessing of the training cannot be guessed. Also the errors of
 * `openDevice` and `device.load`.
 * @example
 * await using segmenter = await openSegmenter('fcn8s');
 * const found = await segmenter.segment('street.jpg');
 * if (found.kind === 'classes') console.log(found.areas);
 */
export async function openSegmenter(
  source: string | URL | TaskFiles,
  options: SegmenterOptions = {},
): Promise<Segmenter> {
  OPEN_SEGMENTER.check(source, options);
  const files = filesOf(source);
  const given = wholePreprocessOf(files);
  const net = readModel({ model: files.model });
  const graph = graphFromCaffe(net);
  const head = findSegmenterHead(net, graph, options.output);
  if (head.kind === 'edges' && files.labels !== undefined)
    throw new ArgumentError('labels', 'none, because the net outputs edges, not classes', files.labels);
  const labels = head.kind === 'edges' ? [] : classNames(files.labels, head.classes, 0);
  const input = imageInput({ inputs: inputsOf(graph, null) });
  const usual = () => (takesAnySize(net, input, head.blob) ? null : input.size);
  const { resize = usual() } = given;
  const preprocess: WholePreprocess = { ...given, resize };
  return openWholeImages<Tensor, Segmenter>(
    {
      name: 'segmenter',
      refusal: (why, message) => new SegmenterError(`segmenter/${why}`, message),
      net,
      outputs: [head.blob],
      rows: head.blob,
      split: (outputs, images) => mapsOf(head, outputs, images),
      imageInfo: null,
      ...{ input, preprocess },
    },
    files,
    options,
    (model, queue) => new Segmenter({ model, head, labels, preprocess, queue }),
  );
}

interface SegmenterParts {
  readonly model: Model;
  readonly head: SegmenterHead;
  readonly labels: readonly string[];
  readonly preprocess: WholePreprocess;
  readonly queue: WholeImageQueue<Tensor>;
}

/** Segments images; created by `openSegmenter`. You may call it many times concurrently. */
export class Segmenter extends ImageService {
  /** The class names in the order of the net's classes; none if the net outputs edges. */
  readonly labels: readonly string[];
  /** How images are prepared. */
  readonly preprocess: WholePreprocess;
  readonly #parts: SegmenterParts;

  /**
   * Use `openSegmenter`.
   * @internal
   */
  constructor(parts: SegmenterParts) {
    super(parts.model, parts.queue);
    this.#parts = parts;
    this.labels = parts.labels;
    this.preprocess = parts.preprocess;
  }

  /**
   * Segments an image. Scores with another size than the image are interpolated (bilinearly) before the largest is chosen.
   * @param image A path, a `file:` URL, the bytes of an image file, or decoded pixels.
   * @returns `classes`: a class for every pixel of the image, and the area of each class; or `edges`: a value from 0 to 1
   * for every pixel
   * @throws SegmenterError: `segmenter/busy` if `maxQueue` images are already waiting, `segmenter/closed`,
   * `segmenter/not-finite`; ImageError as in `decodeImage`; the signal's reason
   * @example
   * const { areas } = await segmenter.segment('street.jpg') as ClassMap;
   * console.log(areas.map(({ label, share }) => `${label} ${(100 * share).toFixed(1)}%`));
   */
  async segment(image: AnyImage, options: SegmentOptions = {}): Promise<Segmentation> {
    SEGMENT.check(image, options);
    const { head, queue, labels } = this.#parts;
    return queue.ask(image, (scores, placement) => answer(head, labels, scores, placement), options.signal);
  }
}

async function answer(
  head: SegmenterHead,
  labels: readonly string[],
  scores: Tensor,
  placement: Placement,
): Promise<Segmentation> {
  const found = notFinite(scores.data);
  if (found !== null)
    throw new SegmenterError(
      'segmenter/not-finite',
      `"${head.blob}" has values that are not finite (${describeNotFinite(found)}): weights or statistics of the net are not finite, or its inputs are far from those that it was trained with`,
    );
  const { width, height } = placement.image;
  const map = await mapOfImage(head, scores, placement);
  return map instanceof Uint8Array
    ? { kind: 'classes', width, height, map, areas: areasOf(map, labels) }
    : { kind: 'edges', width, height, map };
}

/** The map C×H×W of each image of a run. */
function mapsOf({ blob }: SegmenterHead, outputs: Outputs, images: number): Tensor[] {
  const { shape, data } = outputs[blob]!;
  const each = data.length / images;
  return Array.from({ length: images }, (_, i) => ({
    shape: shape.slice(1),
    data: images === 1 ? data : data.slice(i * each, (i + 1) * each),
  }));
}
