/**
 * What crosses the border to native code: plain data, no functions, no prototxt. One Program is compiled
 * once per device and input shape and run many times. native/core/program.h is the same in C++; what an operation is,
 * ts/operations/schema.ts says for both.
 */
import type { OperationAttributes, ProgramParameterId, TensorId } from './operations.ts';

export type { ProgramParameterId, TensorId };

/** A float32 tensor as the user would see it, row-major. Layout and padding are the backend's affair. */
export interface ProgramTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A parameter as the kernels want it: after folding, before the backend's own reordering. */
export interface ProgramParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Written by batchNorm or update while they run; kept with the parameters, shared by all programs of a model. */
  readonly mutable: boolean;
}

/** One step of a Program; its kind and attributes are a row of ts/operations/schema.ts. */
export type ProgramOperation = {
  /** The layer's name, for errors and timings. */
  readonly layer: string;
  readonly inputs: readonly TensorId[];
  readonly outputs: readonly TensorId[];
  /** Whether a diff goes down to each input, where the layer says so; for differentiate.ts alone. */
  readonly propagateDown?: readonly boolean[];
} & OperationAttributes;

export interface Program {
  readonly name: string;
  readonly tensors: readonly ProgramTensor[];
  readonly parameters: readonly ProgramParameter[];
  readonly operations: readonly ProgramOperation[];
  readonly inputs: readonly TensorId[];
  readonly outputs: readonly TensorId[];
}

/** The bytes of one parameter: little-endian, any alignment, usually a view of the mapped weights file. */
export interface ParameterData {
  readonly bytes: Uint8Array;
  readonly dtype: 'float32' | 'float64';
  /**
   * One factor per index of axis 0, multiplied in float64 and rounded once while packing:
   * how BatchNorm and Scale get into a convolution's weights without a second copy of them.
   */
  readonly channelScale: Float64Array | null;
}
