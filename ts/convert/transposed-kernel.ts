/** Reorders weights of TensorFlow, Keras and Lasagne to Caffe's order of axes. */
import type { Values } from './net-maker.ts';

/**
 * Reorders height, width, inputs, outputs to outputs, inputs, height, width, and inputs, outputs of a dense layer to
 * outputs, inputs. Other shapes stay as they are.
 */
export function transposedKernel({ shape, values: from }: Values): Values {
  if (shape.length !== 4 && shape.length !== 2) return { shape, values: from };
  const [outputs = 1, inputs = 1, width = 1, height = 1] = [...shape].reverse();
  const to = new Float32Array(from.length);
  for (let pixel = 0, at = 0; pixel < height * width; pixel++)
    for (let input = 0; input < inputs; input++)
      for (let output = 0; output < outputs; output++)
        to[(output * inputs + input) * height * width + pixel] = from[at++]!;
  return { shape: shape.length === 2 ? [outputs, inputs] : [outputs, inputs, height, width], values: to };
}

/** The reverse: outputs, inputs, height, width → height, width, inputs, outputs. */
export function kernelToLast({ shape, values: from }: Values): Values {
  if (shape.length !== 4 && shape.length !== 2) return { shape, values: from };
  const [outputs = 1, inputs = 1, height = 1, width = 1] = shape;
  const to = new Float32Array(from.length);
  for (let output = 0, at = 0; output < outputs; output++)
    for (let input = 0; input < inputs; input++)
      for (let pixel = 0; pixel < height * width; pixel++)
        to[(pixel * inputs + input) * outputs + output] = from[at++]!;
  return { shape: shape.length === 2 ? [inputs, outputs] : [height, width, inputs, outputs], values: to };
}
