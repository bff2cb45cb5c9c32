/** .pth and .pt, as torch.save writes them since 1.6 (a zip file) and wrote them before. */

import { WeightsError } from '../../base/errors.ts';
import { wrongKind } from '../../caffe/wrong-kind.ts';
import { readLegacy } from './legacy-format.ts';
import type { TorchFile } from './torch-objects.ts';
import { readZip } from './zip-format.ts';

/**
 * Reads a file of torch.save as data; nothing in it is executed.
 * @param bytes The file, mapped; only what is needed of it is touched.
 * @throws WeightsError `torch/global` for a name that is not tensors and dicts; `torch/…`
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
