/** The error for a file whose tensors do not have the names of a known net. It lists them and says what to do. */
import { WeightsError } from '../base/errors.ts';
import type { SourceTensors } from './source-tensor.ts';

const MOST = 40;

/** One line for each tensor: name, shape, type. */
export function tensorTable(tensors: SourceTensors): string {
  const width = Math.min(60, Math.max(0, ...[...tensors.keys()].slice(0, MOST).map(({ length }) => length)));
  const lines = [...tensors]
    .slice(0, MOST)
    .map(([name, { shape, type }]) => `  ${name.padEnd(width)}  ${shape.join('×') || 'scalar'}  ${type}`);
  return [...lines, ...(tensors.size > MOST ? [`  … and ${tensors.size - MOST} more`] : [])].join('\n');
}

/** @param expected What the reader expected, e.g. `a ResNet of torchvision (conv1.weight, …)`. */
export function unknownNames(file: string, tensors: SourceTensors, expected: string): WeightsError {
  return new WeightsError(
    'convert/resnet',
    { file },
    tensors.size === 0
      ? `it holds no tensors; expected ${expected}`
      : `its tensors do not have the names of ${expected}; it holds\n${tensorTable(tensors)}`,
  );
}
