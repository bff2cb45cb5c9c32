/** The rows of class scores of a model, as probabilities. */

import { GraphError } from '../../base/errors.ts';
import { elementCount } from '../../base/shape.ts';
import type { Model } from '../../device/model.ts';
import type { Inputs } from '../../device/tensor.ts';
import { softmax } from '../softmax.ts';

export interface Scores {
  readonly classes: number;
  /** Whether classes do not exclude each other: the net ends in Sigmoid, and each class has its own probability. */
  readonly independent: boolean;
  /** The scores of a run's rows; those of a net that ends in neither Softmax nor Sigmoid pass through a softmax here. */
  run(input: Inputs[string], signal?: AbortSignal): Promise<Float32Array | Float64Array>;
}

/**
 * @param input The model's only input.
 * @throws GraphError if the model's last output is not a row of scores per image
 */
export function scoresOf(model: Model, input: string): Scores {
  const [output, shape] = Object.entries(model.outputs).at(-1)!;
  const images = model.inputs[input]![0]!;
  const classes = elementCount(shape.slice(1));
  const last = model.summary().layers.at(-1)!.type;
  const independent = last === 'Sigmoid';
  if (shape[0] !== images || classes < (independent ? 1 : 2))
    throw new GraphError(
      'evaluate/no-scores',
      {},
      `expected an output images × classes, found "${output}" ${shape.join('×')} for ${images} images; give a deploy prototxt that ends in a classifier; for boxes and maps use detect and segment, or evaluate with --task (openDetector, openSegmenter)`,
    );
  return {
    classes,
    independent,
    run: async (tensor, signal) => {
      const outputs = await model.run({ [input]: tensor }, signal === undefined ? {} : { signal });
      const rows = outputs[output]!.data;
      return independent || last === 'Softmax' ? rows : softmax(rows, classes);
    },
  };
}

/** The mean of the rows. */
export function averaged(rows: Float32Array | Float64Array, classes: number): Float32Array | Float64Array {
  if (rows.length === classes) return rows;
  const mean = new Float64Array(classes);
  for (let i = 0; i < rows.length; i++) mean[i % classes]! += (rows[i]! * classes) / rows.length;
  return mean;
}
