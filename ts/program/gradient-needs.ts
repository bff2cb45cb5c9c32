/** What each kind's gradient needs to know: which parameters have a diff, and which tensors it reads again. */
import type { ProgramOperation, ProgramParameterId } from './program.ts';

/** The parameters that learn, by their places among the outputs of a gradient; null: the operation has none there. */
export function learnedParameters(operation: ProgramOperation): readonly (ProgramParameterId | null)[] {
  switch (operation.kind) {
    case 'convolution':
    case 'innerProduct':
      return [operation.weights, operation.bias];
    case 'scale':
    case 'batchNorm':
      return [operation.scale, operation.bias];
    case 'prelu':
      return [operation.slope];
    default:
      return [];
  }
}

/** Whether a diff of what the operation made has a meaning: labels, ranks and masks have none. */
export function isDifferentiable(
  operation: ProgramOperation,
  place: 'input' | 'output',
  index: number,
): boolean {
  switch (operation.kind) {
    case 'accuracy':
    case 'gradient':
    case 'update':
      return false;
    case 'softmaxLoss':
    case 'dropout':
      return index === 0;
    case 'pooling':
    case 'batchNorm':
      return place === 'input' || index === 0;
    default:
      return true;
  }
}

/** Which inputs and outputs of an operation its gradient reads. The fewer, the less memory a training step takes. */
export function readAgain(
  operation: ProgramOperation,
  asked: { readonly inputs: readonly boolean[]; readonly parameters: readonly boolean[] },
): { readonly inputs: readonly boolean[]; readonly outputs: readonly boolean[] } {
  const [dx = false, dSecond = false] = asked.inputs;
  const [dWeights = false] = asked.parameters;
  const inputs = (...read: boolean[]) => operation.inputs.map((_, i) => read[i] ?? false);
  const outputs = (...read: boolean[]) => operation.outputs.map((_, i) => read[i] ?? false);
  const hasRelu = 'relu' in operation && operation.relu !== null;
  switch (operation.kind) {
    case 'convolution':
    case 'innerProduct':
      return { inputs: inputs(dWeights), outputs: outputs(hasRelu) };
    case 'scale': {
      const isScaled = operation.operand === 'scale';
      return { inputs: inputs(dWeights || (isScaled && dSecond), isScaled && dx), outputs: outputs(hasRelu) };
    }
    case 'batchNorm': {
      const isBatch = operation.statistics === 'batch';
      return { inputs: inputs((isBatch && dx) || dWeights), outputs: outputs(hasRelu, isBatch, isBatch) };
    }
    // What these made says the sign of what they read.
    case 'relu':
      return operation.negativeSlope >= 0
        ? { inputs: inputs(), outputs: outputs(true) }
        : { inputs: inputs(true), outputs: outputs() };
    case 'elu':
      return operation.alpha >= 0
        ? { inputs: inputs(), outputs: outputs(true) }
        : { inputs: inputs(true), outputs: outputs() };
    case 'sigmoid':
    case 'tanh':
    case 'softmax':
      return { inputs: inputs(), outputs: outputs(true) };
    case 'power':
      return {
        inputs: inputs(operation.power !== 0 && operation.power !== 1 && operation.scale !== 0),
        outputs: outputs(),
      };
    case 'dropout':
      return { inputs: inputs(false, true), outputs: outputs() };
    case 'eltwise':
      return {
        inputs: operation.inputs.map(() => operation.operation !== 'sum'),
        outputs: outputs(hasRelu || (operation.operation === 'prod' && !operation.stableProdGrad)),
      };
    case 'pooling':
      return { inputs: inputs(operation.method === 'max'), outputs: outputs() };
    case 'absval':
    case 'prelu':
    case 'lrn':
    case 'softmaxLoss':
    case 'euclideanLoss':
      return { inputs: operation.inputs.map(() => true), outputs: outputs() };
    default:
      return { inputs: inputs(), outputs: outputs() };
  }
}
