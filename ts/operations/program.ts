/**
 * The plain data that native code receives, without functions or prototxt. A Program is compiled once for each device and
 * input shape, and runs many times. native/core/program.h is its counterpart in C++; ts/operations/schema.ts defines the
 * operations for both.
 */
import type { OperationAttributes, ProgramParameterId, TensorId } from './operations.ts';

export type { ProgramParameterId, TensorId };

/** A float32 tensor as the user sees it, row-major. The backend chooses layout and padding. */
export interface ProgramTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A parameter after folding, before the backend packs it. */
export interface ProgramParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether batchNorm or update changes it in place; all programs of a model share it. */
  readonly mutable: boolean;
}

/** One step of a Program; a row of ts/operations/schema.ts defines its kind and attributes. */
export type ProgramOperation = {
  /** The layer's name, for errors and timings. */
  readonly layer: string;
  readonly inputs: readonly TensorId[];
  readonly outputs: readonly TensorId[];
  /** Whether each input receives a diff, if the layer specifies it; only differentiate.ts reads it. */
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
   * One factor for each index of axis 0. Packing multiplies in float64 and rounds once. This folds BatchNorm and Scale into a
   * convolution's weights without a second copy of them.
   */
  readonly channelScale: Float64Array | null;
}
