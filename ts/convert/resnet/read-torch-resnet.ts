/** Reads a ResNet from a file that torch.save wrote. */
import { WeightsError } from '../../base/errors.ts';
import { signature } from '../../base/options.ts';
import { wrongKind } from '../../caffe/wrong-kind.ts';
import { mapFile } from '../map-file.ts';
import { readerParameters } from '../network.ts';
import { readLegacy } from '../torch/legacy-format.ts';
import { stateDict } from '../torch/state-dict.ts';
import type { TorchFile } from '../torch/torch-objects.ts';
import { readZip } from '../torch/zip-format.ts';
import { torchResnet } from './torch-resnet.ts';

const READ_TORCH_RESNET = signature('readTorchResnet', readerParameters);

/**
 * Reads a .pth. Its pickle is read as data and never executed. `torchResnet` describes the nets that are recognised.
 * @param options.inputShapes The shape of `data`. Default 1×3×224×224, and 1×3×32×32 for a CIFAR net.
 * @throws WeightsError `torch/global` for a pickle that calls code, `torch/…` for a damaged file, `convert/resnet` for
 * other nets
 */
export async function readTorchResnet(
  file: string,
  options: { inputShapes?: Readonly<Record<string, readonly number[]>> } = {},
) {
  READ_TORCH_RESNET.check(file, options);
  const { inputShapes = {} } = options;
  const tensors = stateDict(await readTorchFile(mapFile(file, 'torch'), file), file);
  return torchResnet(tensors, { file, inputShapes });
}

/**
 * Reads a file of torch.save as data and never executes it.
 * @param bytes The mapped file; only the parts that are needed are read.
 * @throws WeightsError `torch/global` for a name that does not belong to tensors and dicts; `torch/…`
 */
export async function readTorchFile(bytes: Uint8Array, file: string): Promise<TorchFile> {
  const head = Buffer.from(bytes.subarray(0, 265)).toString('latin1');
  if (head.startsWith('PK')) return readZip(bytes, file);
  if (head.slice(257, 262) === 'ustar')
    throw new WeightsError(
      'torch/format',
      { file },
      'this is the tar file of torch before 0.1.10; load it with torch and save it again',
    );
  const wrong = wrongKind(bytes, 'torch');
  if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file }, wrong);
  return readLegacy(bytes, file);
}
