/** Opens a net for whole images on a device, with a queue, and warms it up. */
import { GraphError } from '../../base/errors.ts';
import { pathOf } from '../../base/sources.ts';
import type { NetParameter } from '../../caffe/net-parameter.ts';
import type { Model } from '../../device/model.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import { commonSize } from '../whole.ts';
import { batchSizes, onDevice, type ServiceOptions } from './options.ts';
import type { TaskFiles } from './task-files.ts';
import { type WholeImageParts, WholeImageQueue } from './whole-image.ts';

/** A net and its task. */
export interface WholeImageNet<Raw>
  extends Pick<WholeImageParts<Raw>, 'name' | 'refusal' | 'input' | 'imageInfo' | 'preprocess' | 'split'> {
  readonly net: NetParameter;
  readonly outputs: readonly string[];
  /** The blob with one row per image if the net takes several. */
  readonly rows: string;
}

/**
 * @param make Creates the service, which owns the model and closes the queue.
 * @throws The errors of `openDevice` and `device.load`; then nothing stays open
 */
export function openWholeImages<Raw, Opened>(
  of: WholeImageNet<Raw>,
  { weights, calibration }: TaskFiles,
  options: ServiceOptions,
  make: (model: Model, queue: WholeImageQueue<Raw>) => Opened,
): Promise<Opened> {
  const { net, outputs, input, preprocess } = of;
  const { precision } = options;
  const size = commonSize(preprocess) ?? input.size;
  return onDevice(options, async (device, ownsDevice) => {
    const sizes = batchesOf(of, options);
    const model = await device.load({
      model: net,
      weights,
      outputs,
      batch: 1,
      inputShapes: { [input.name]: [1, input.channels, size.height, size.width] },
      batches: sizes,
      ...(precision === undefined ? {} : { precision }),
      ...(precision === 'int8' && calibration !== undefined ? { calibration: pathOf(calibration) } : {}),
    });
    try {
      const queue = new WholeImageQueue<Raw>({ ...of, model, device, ownsDevice, options, sizes });
      await queue.warm();
      return make(model, queue);
    } catch (error) {
      model.dispose();
      throw error;
    }
  });
}

/**
 * Images run one by one if their sizes differ, if the net has an input `im_info`, or if the net shapes its blobs for one
 * image (a Reshape with `dim: 1`).
 */
function batchesOf<Raw>(
  { net, rows, preprocess, imageInfo }: WholeImageNet<Raw>,
  { maxBatch = 8 }: ServiceOptions,
): number[] {
  if (commonSize(preprocess) === null || imageInfo !== null || maxBatch === 1) return [1];
  return takesTwo(net, rows) ? batchSizes(maxBatch) : [1];
}

/** Whether a net takes several images at once, and has a row of this blob for each. */
export function takesTwo(net: NetParameter, blob: string): boolean {
  try {
    const graph = graphFromCaffe(net, { batch: 2 });
    return graph.values[graph.blobs.get(blob)!]!.shape[0] === 2;
  } catch (error) {
    if (error instanceof GraphError) return false;
    throw error;
  }
}
