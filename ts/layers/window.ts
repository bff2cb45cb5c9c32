/** Checks of windows over height and width. */
import { type Shape, showShape } from '../base/shape.ts';
import { type Message, positionOf } from '../caffe/message.ts';
import type { LayerContext } from './layer.ts';
import type { Pair } from './operation.ts';

/** Caffe stores sizes in an int, in which larger ones become negative. */
const MAX_INT = 2 ** 31 - 1;

export interface Window {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly pad: Pair;
  readonly dilation: Pair;
}

/** Refuses windows that fit no blob. Lists have one entry for each spatial axis. */
export function checkSizes(
  context: LayerContext,
  window: Readonly<Record<keyof Window, readonly number[]>>,
): void {
  for (const [name, values] of Object.entries(window) as [keyof Window, readonly number[]][]) {
    const least = name === 'pad' ? 0 : 1;
    if (values.some((value: number) => value < least || value > MAX_INT))
      context.fail(
        name,
        `${name} must be from ${least} to 2^31 − 1, found ${values.join('×')}`,
        placeOf(context, name),
      );
  }
  const { kernel, pad, dilation } = window;
  for (const axis of kernel.keys())
    if (dilation[axis]! * (kernel[axis]! - 1) + 1 + 2 * pad[axis]! > MAX_INT)
      context.fail(
        'too-large',
        `a ${kernel.join('×')} kernel (dilation ${dilation.join('×')}, pad ${pad.join('×')}) is over 2^31 − 1 pixels wide or high`,
      );
}

function placeOf({ layer }: LayerContext, name: string) {
  const param = (layer.convolution_param ?? layer.pooling_param ?? {}) as Message;
  const fields = [name, `${name}_size`, `${name}_h`, `${name}_w`];
  return positionOf(
    param,
    fields.find((field) => param[field] !== undefined),
  );
}

/**
 * Checks that all bottoms are N×C×H×W and have one shape.
 * @param ofVolumes What to write for bottoms of five dimensions. Default: nothing helps.
 */
export function fourDimensions(context: LayerContext, ofVolumes?: string): Shape {
  for (const shape of context.shapes) {
    const cure = ofVolumes === undefined || shape.length !== 5 ? '' : `; ${ofVolumes}`;
    if (shape.length !== 4)
      context.fail(
        'dimensions',
        `expected bottoms of 4 dimensions (N×C×H×W), found ${showShape(shape)}${cure}`,
      );
    if (showShape(shape) !== showShape(context.shapes[0]!)) {
      context.fail(
        'shape',
        `all bottoms must have one shape, found ${showShape(context.shapes[0]!)} and ${showShape(shape)}`,
      );
    }
  }
  return context.shapes[0]!;
}

/** The shape of the first bottom, which must be N×C×H×W, regardless of the others. */
export function planesOf(
  context: LayerContext,
): [n: number, channels: number, height: number, width: number] {
  const [shape] = context.shapes as [Shape];
  if (shape.length !== 4)
    context.fail(
      'dimensions',
      `expected a first bottom of 4 dimensions (N×C×H×W), found ${showShape(shape)}`,
    );
  return shape as readonly number[] as [number, number, number, number];
}
