/**
 * The inputs for measuring the value ranges of a detector or segmenter: whole images, as `detect` and `segment` prepare
 * them.
 */
import { GraphError } from '../base/errors.ts';
import type { Shapes } from '../base/shape.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { findDetectorHead, rowsBlobOf, usualResize } from '../images/detect/head.ts';
import { type ImageInput, imageInput, inputsOf } from '../images/features/image-input.ts';
import { findSegmenterHead, takesAnySize } from '../images/segment/head.ts';
import { takesTwo } from '../images/service/open-whole-images.ts';
import type { WholeResize } from '../images/whole.ts';

/** The inputs of a net for whole images. */
export interface WholeInputs {
  readonly input: ImageInput;
  /** The input with height, width and scale that Faster R-CNN has in addition; null if there is none. */
  readonly imageInfo: string | null;
  /** The size if the preprocessing does not set one. */
  readonly resize: WholeResize;
  /** Whether images of one size run together. */
  readonly takesSeveral: boolean;
}

/**
 * @param net A net that is filtered for phase TEST.
 * @returns Null if its layers are neither those of a detector nor of a segmenter
 * @throws GraphError
 */
export function wholeInputsOf(net: NetParameter, inputShapes?: Shapes): WholeInputs | null {
  const graph = graphFromCaffe(net, inputShapes === undefined ? {} : { inputShapes });
  const detector = unless('detector/no-head', () => findDetectorHead(net, graph));
  if (detector !== null) {
    const imageInfo = detector.kind === 'regions' ? detector.imageInfo : null;
    const input = imageInput({ inputs: inputsOf(graph, imageInfo) });
    const takesSeveral = imageInfo === null && takesTwo(net, rowsBlobOf(detector));
    return { input, imageInfo, resize: usualResize(detector, input.size), takesSeveral };
  }
  const segmenter = unless('segmenter/no-map', () => findSegmenterHead(net, graph));
  if (segmenter === null) return null;
  const { blob } = segmenter;
  const input = imageInput({ inputs: inputsOf(graph, null) });
  const resize = takesAnySize(net, input, blob) ? null : input.size;
  return { input, imageInfo: null, resize, takesSeveral: takesTwo(net, blob) };
}

function unless<Head>(code: GraphError['code'], find: () => Head): Head | null {
  try {
    return find();
  } catch (error) {
    if (error instanceof GraphError && error.code === code) return null;
    throw error;
  }
}
