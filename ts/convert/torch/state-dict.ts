/** The named tensors of a checkpoint, wherever a training script put them. */
import { WeightsError } from '../../errors.ts';
import type { SourceTensors } from '../source-tensor.ts';
import { isTensor, readTensor, type TorchFile } from './torch-objects.ts';
import type { PickleValue } from './unpickle.ts';

// Averaged weights last: what is asked for is the model.
const KEYS = [
  'state_dict',
  'model_state_dict',
  'model',
  'net',
  'network',
  'module',
  'state_dict_ema',
  'model_ema',
];

/** The tensors of the dict that has some, the outermost first. @throws WeightsError where there is none */
export function stateDict({ value, bytesOf }: TorchFile, file: string): SourceTensors {
  const dict = findDict(value);
  if (dict === null)
    throw new WeightsError(
      'torch/state-dict',
      { file },
      `there is no state dict in it, alone or under one of ${KEYS.join(', ')}; save it with torch.save(model.state_dict(), "weights.pth")`,
    );
  return new Map(
    [...dict].flatMap(([name, tensor]) =>
      typeof name === 'string' && isTensor(tensor)
        ? [[name, readTensor({ file, name }, tensor, bytesOf)] as const]
        : [],
    ),
  );
}

function findDict(value: PickleValue | undefined, depth = 0): Map<PickleValue, PickleValue> | null {
  if (!(value instanceof Map) || depth > 3) return null;
  if ([...value.values()].some(isTensor)) return value;
  for (const key of KEYS) {
    const inner = findDict(value.get(key), depth + 1);
    if (inner !== null) return inner;
  }
  return null;
}
