/** Finds the named tensors of a checkpoint, wherever a training script put them. */
import { WeightsError } from '../../base/errors.ts';
import type { SourceTensors } from '../source-tensor.ts';
import { isTensor, readTensor, type TorchFile } from './torch-objects.ts';
import type { PickleValue } from './unpickle.ts';

// Averaged weights come last, because callers want the model itself.
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

/**
 * The tensors of the dict of weights: the one under a usual key, or the value itself, or the only dict of tensors. A tensor
 * beside such a dict is a figure of the training (`best_acc1`).
 * @throws WeightsError if there is no such dict, or if several are possible
 */
export function stateDict({ value, bytesOf }: TorchFile, file: string): SourceTensors {
  const dict = findDict(value, file);
  if (dict === null)
    throw new WeightsError(
      'torch/state-dict',
      { file },
      `there is no state dict in it, alone or under one of ${KEYS.join(', ')}${found(value)}; save it with torch.save(model.state_dict(), "weights.pth")`,
    );
  return new Map(
    [...dict].flatMap(([name, tensor]) =>
      typeof name === 'string' && isTensor(tensor)
        ? [[name, readTensor({ file, name }, tensor, bytesOf)] as const]
        : [],
    ),
  );
}

function found(value: PickleValue): string {
  if (value instanceof Map)
    return `, but ${[...value.keys()].slice(0, 5).map(String).join(', ') || 'nothing'}`;
  const isMade = typeof value === 'object' && value !== null && 'made' in value;
  return isMade ? `, but ${isTensor(value) ? 'a tensor' : value.made.replace(/^opaque /, 'a ')}` : '';
}

type Dict = Map<PickleValue, PickleValue>;

function findDict(value: PickleValue | undefined, file: string, depth = 0): Dict | null {
  if (!(value instanceof Map) || depth > 3) return null;
  for (const key of KEYS) {
    const inner = findDict(value.get(key), file, depth + 1);
    if (inner !== null) return inner;
  }
  if ([...value.values()].some(isTensor)) return value;
  const others = [...value].filter(([, each]) => each instanceof Map && [...each.values()].some(isTensor));
  if (others.length > 1)
    throw new WeightsError(
      'torch/state-dict',
      { file },
      `it holds several dicts of tensors (${others.map(([key]) => `"${String(key)}"`).join(', ')}); save only the state dict of the net`,
    );
  return (others[0]?.[1] as Dict | undefined) ?? null;
}
