/** A ResNet from a file of torch.save. */
import { signature } from '../../base/options.ts';
import { mapFile } from '../map-file.ts';
import { readerParameters } from '../network.ts';
import { stateDict } from '../torch/state-dict.ts';
import { readTorchFile } from '../torch/torch-file.ts';
import { torchResnet } from './torch-resnet.ts';

const READ_TORCH_RESNET = signature('readTorchResnet', readerParameters);

/**
 * Reads a .pth, whose pickle is data here: nothing in it is executed. What is recognised, see `torchResnet`.
 * @param options.inputShapes The shape of `data`. Default 1×3×224×224, of a CIFAR net 1×3×32×32.
 * @throws WeightsError `torch/global` for a pickle that asks for code, `torch/…` for damage, `convert/resnet` for other nets
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
