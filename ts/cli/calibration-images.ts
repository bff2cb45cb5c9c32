/** The images of `quantize`, prepared as the net needs them: cropped from the centre, or whole. */
import { ArgumentError, GraphError } from '../base/errors.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { Device } from '../device/device.ts';
import type { Inputs, Shapes } from '../device/tensor.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { decodeImage } from '../images/decode.ts';
import { imageInput } from '../images/features/image-input.ts';
import type { Size } from '../images/geometry.ts';
import { decodingOf, preprocessFile } from '../images/preprocess.ts';
import { runInputs } from '../images/service/whole-image.ts';
import {
  commonSize,
  type Placement,
  prepareWhole,
  unfitSize,
  type WholePreprocess,
} from '../images/whole.ts';
import { type WholeInputs, wholeInputsOf } from '../quantize/whole-inputs.ts';
import type { BrokenImages } from './broken-images.ts';
import type { ImageSource } from './image-files.ts';
import { choosePreprocess, limitsOf } from './preprocess-options.ts';
import { chooseWholePreprocess, type WholePreprocessFlags } from './whole-preprocess-options.ts';

interface Flags extends WholePreprocessFlags {
  readonly model: string;
  readonly batch: number;
  readonly inputShape?: Shapes;
}

/** How images are prepared and run. */
export interface CalibrationImages {
  /** The number of images per run. */
  readonly batch: number;
  /** The shapes with which to load the net. */
  readonly inputShapes: Shapes | undefined;
  /** Prepares the inputs of each run; the list is empty if none of the images could be read. */
  readonly prepare: (part: readonly ImageSource[]) => Promise<readonly Inputs[]>;
}

/** @throws GraphError if the net's input is not an image; ArgumentError, ImageError for the flags */
export function calibrationImages(
  net: NetParameter,
  device: Device,
  flags: Flags,
  broken: BrokenImages,
): Promise<CalibrationImages> | CalibrationImages {
  const whole = wholeInputsOf(net, flags.inputShape);
  return whole === null ? croppedImages(net, device, flags, broken) : wholeImages(net, whole, flags, broken);
}

function wholeImages(
  net: NetParameter,
  whole: WholeInputs,
  flags: Flags,
  broken: BrokenImages,
): CalibrationImages {
  const { input, resize, takesSeveral } = whole;
  const preprocess: WholePreprocess = { resize, ...chooseWholePreprocess(flags, flags.model) };
  const decoding = decodingOf(preprocess, limitsOf(flags));
  const size = commonSize(preprocess);
  const { width, height } = size ?? input.size;
  const shapesOf = (of: Size) => ({ [input.name]: [1, input.channels, of.height, of.width] });
  const checkFits = (file: string, placement: Placement) => {
    try {
      graphFromCaffe(net, { inputShapes: shapesOf(placement.input) });
    } catch (error) {
      throw error instanceof GraphError ? unfitSize(file, placement, error) : error;
    }
  };
  return {
    batch: size !== null && takesSeveral ? flags.batch : 1,
    inputShapes: shapesOf({ width, height }),
    async prepare(part) {
      const prepared = await Promise.all(
        part.map(({ file, source }) =>
          broken.guard(
            decodeImage(source, { ...decoding, name: file }).then(async (image) => {
              const made = await prepareWhole(image, preprocess, input.channels);
              if (size === null) checkFits(file, made.placement);
              return made;
            }),
          ),
        ),
      );
      const images = prepared.filter((image) => image !== null);
      return images.length === 0 ? [] : [runInputs(whole, images)];
    },
  };
}

async function croppedImages(
  net: NetParameter,
  device: Device,
  flags: Flags,
  broken: BrokenImages,
): Promise<CalibrationImages> {
  const { longestSide, pad, inputShape } = flags;
  if (longestSide !== undefined || pad !== undefined)
    throw new ArgumentError(
      longestSide === undefined ? '--pad' : '--longest-side',
      'a detector or a segmenter, which run on whole images; the layers of this net are of neither',
      flags.model,
    );
  const chosen = choosePreprocess(flags, flags.model);
  const plain = await device.load({ model: net, batch: 1, inputShapes: inputShape });
  const { name, channels, size } = imageInput(plain);
  plain.dispose();
  const preprocess = chosen.for(size);
  const area = channels * size.height * size.width;
  return {
    batch: flags.batch,
    inputShapes: inputShape,
    async prepare(part) {
      const pixels = await Promise.all(
        part.map(({ file, source }) =>
          broken.guard(preprocessFile(source, preprocess, channels, { ...limitsOf(flags), name: file })),
        ),
      );
      const images = pixels.filter((image) => image !== null);
      const data = new Float32Array(images.length * area);
      images.forEach((image, i) => {
        data.set(image, i * area);
      });
      const shape = [images.length, channels, size.height, size.width];
      return images.length === 0 ? [] : [{ [name]: { shape, data } }];
    },
  };
}
