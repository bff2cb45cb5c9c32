/** The additional results of the forward operations that the backward pass needs. */
import type { Program, ProgramOperation, TensorId } from '../operations/program.ts';

type Add = (name: string, shape: readonly number[]) => TensorId;

export class ForwardResults {
  readonly operations: ProgramOperation[];
  readonly #tensors: Program['tensors'];
  readonly #add: Add;
  readonly #keepsMaxima: boolean;

  /**
   * @param add Adds a tensor.
   * @param options.keepsMaxima Whether the gradient of a max pooling reads the positions of the maxima instead of its input.
   */
  constructor(
    { operations, tensors }: Program,
    add: Add,
    { keepsMaxima }: { readonly keepsMaxima: boolean },
  ) {
    this.operations = [...operations];
    this.#tensors = tensors;
    this.#add = add;
    this.#keepsMaxima = keepsMaxima;
  }

  /**
   * The operation with all results that its gradient reads: the mean and the variance of a batch, the positions of maxima.
   */
  complete(index: number): ProgramOperation {
    const operation = this.operations[index]!;
    const { kind, layer, inputs, outputs } = operation;
    if (outputs.length > 1) return operation;
    const shapeOf = (id: TensorId) => this.#tensors[id]!.shape;
    if (kind === 'batchNorm' && operation.statistics === 'batch') {
      const shape = [shapeOf(inputs[0]!)[1] ?? 1];
      return this.#makeMore(index, [`${layer} mean`, `${layer} variance`], shape);
    }
    if (this.#keepsMaxima && kind === 'pooling' && operation.method === 'max')
      return this.#makeMore(index, [`${layer} maxima`], shapeOf(outputs[0]!));
    return operation;
  }

  /** The positions at which the result of a BatchNorm with batch statistics is positive. */
  signsOf(index: number): TensorId {
    const { name, shape } = this.#tensors[this.complete(index).outputs[0]!]!;
    return this.#makeMore(index, [`${name} is positive`], shape).outputs.at(-1)!;
  }

  #makeMore(index: number, names: readonly string[], shape: readonly number[]): ProgramOperation {
    const operation = this.operations[index]!;
    const made = names.map((name) => this.#add(name, shape));
    this.operations[index] = { ...operation, outputs: [...operation.outputs, ...made] };
    return this.operations[index];
  }
}
