/** The events of a solver in training: plain objects; `resnode train --json` prints each as one line of JSON. */

/** One output blob of a net: Caffe's "Train net output" and "Test net output" lines. */
export interface OutputValue {
  readonly name: string;
  /** The blob's elements, row-major; a loss or an accuracy has one. In a test they are means over all batches. */
  readonly values: readonly number[];
  /** 0 if the blob is not a loss. The value itself is not weighted. */
  readonly lossWeight: number;
  /** The average precision of each class for the output of DetectionEvaluate, if `show_per_class_result` is set. */
  readonly classes?: readonly ClassPrecision[];
}

/** The average precision of one class; 0 if it is never found. */
export interface ClassPrecision {
  readonly label: number;
  readonly precision: number;
}

/** How a BatchNorm layer normalises in training. */
export interface LayerBatchNorm {
  readonly layer: string;
  readonly statistics: 'batch' | 'global';
  /** Why, e.g. `phase TRAIN` or `use_global_stats: true`. */
  readonly reason: string;
}

/** The first event: everything is loaded and nothing has run. */
export interface StartEvent {
  readonly type: 'start';
  /** The net's name. */
  readonly net: string;
  /** The solver's file, or null for one made in code. */
  readonly solver: string | null;
  /** `cpu`, `cuda:0`, … */
  readonly device: string;
  /** The first iteration, from 0, or that of the snapshot if training is resumed. */
  readonly iteration: number;
  readonly maxIterations: number;
  /** SGD, Adam, … */
  readonly rule: string;
  /** fixed, step, …, or `cosine`. */
  readonly policy: string;
  readonly warmup: { readonly iterations: number; readonly rate: number } | null;
  /** The number of samples in one forward pass, and in one iteration (times iter_size). */
  readonly batch: number;
  readonly samplesPerIteration: number;
  /** The number of samples in the training data; null if unknown. */
  readonly epochSize: number | null;
  /** The number of values that the solver learns. */
  readonly learnable: number;
  /** The seed of the fillers and the data; it is random if `random_seed` is not set. */
  readonly seed: number;
  readonly batchNorms: readonly LayerBatchNorm[];
  /** The layers whose weights came from files, and the layers that keep the values of their fillers. */
  readonly loaded: readonly string[];
  readonly filled: readonly string[];
  /**
   * `20 of 23 layers have weights from the file; with the values of their fillers: …; unused in the file: …`; null
   * without a file.
   */
  readonly weights: string | null;
  /** Layers of the files that the net does not have. */
  readonly unused: readonly string[];
  /** The test nets, with the number of batches of each test. */
  readonly tests: readonly { readonly iterations: number }[];
}

/** One iteration is done. Every iteration is reported; `display` marks those that Caffe would print. */
export interface IterationEvent {
  readonly type: 'iteration';
  /** Caffe's number, counted from 0: the loss belongs to the weights before update `iteration` + 1. */
  readonly iteration: number;
  readonly display: boolean;
  /** The mean over iter_size passes of the sum of weighted losses. */
  readonly loss: number;
  /** Caffe's running mean over `average_loss` iterations. */
  readonly smoothedLoss: number;
  readonly rate: number;
  /** The outputs of the last forward pass, as Caffe prints them, in the net's order (sorted by name). */
  readonly outputs: readonly OutputValue[];
  /** Samples per second since the last displayed iteration, without tests and snapshots. */
  readonly imagesPerSecond: number;
  /** Seconds since the start event, including everything. */
  readonly elapsed: number;
  /** Seconds to max_iter at the pace so far, including tests and snapshots; null if nothing was measured yet. */
  readonly remaining: number | null;
  /** Share of the training time (0 to 1) spent waiting for data, since the last displayed iteration. */
  readonly waiting: number;
}

/** One test net ran over its batches. */
export interface TestEvent {
  readonly type: 'test';
  /** The iterations done before this test. */
  readonly iteration: number;
  /** The index of the test net, from 0. */
  readonly net: number;
  /** The number of batches: test_iter. */
  readonly iterations: number;
  readonly outputs: readonly OutputValue[];
  /** Mean weighted loss; null without `test_compute_loss`. */
  readonly loss: number | null;
  readonly seconds: number;
}

/** A snapshot was written completely. */
export interface SnapshotEvent {
  readonly type: 'snapshot';
  /** The iterations done. */
  readonly iteration: number;
  readonly weights: string;
  /** The average of the weights, if the solver has an ema_decay. */
  readonly average?: string;
  readonly state: string;
  readonly reason: 'interval' | 'request' | 'end';
  readonly seconds: number;
}

/** Mean absolute values, as Caffe's debug_info prints them, at displayed iterations if `debug_info` is set. */
export interface DebugInfoEvent {
  readonly type: 'debug_info';
  readonly iteration: number;
  /** Blobs in the net's order; diffs are null if the backward pass does not reach the blob. */
  readonly blobs: readonly { readonly blob: string; readonly data: number; readonly diff: number | null }[];
  readonly parameters: readonly {
    readonly layer: string;
    readonly index: number;
    readonly data: number;
    readonly diff: number;
  }[];
  /** Norms over all learnable parameters. */
  readonly norms: {
    readonly data: { readonly l1: number; readonly l2: number };
    readonly diff: { readonly l1: number; readonly l2: number };
  };
}

/** Something that works but is probably not intended. */
export interface WarningEvent {
  readonly type: 'warning';
  /** A stable code, e.g. `solver/iter-size-batch-norm`. */
  readonly code: string;
  readonly message: string;
}

/** Training diverged. It ends without another snapshot, so the previous one remains the last. */
export interface DivergedEvent {
  readonly type: 'diverged';
  readonly iteration: number;
  /**
   * The loss is NaN or infinite, or it is −log(FLT_MIN), because every true class has the probability 0 (`plateau`).
   * `gradients`: in 16 bits, the gradients of many updates in a row were not finite. `weights`: a weight was NaN or infinite
   * when a snapshot was due. `other`: another process diverged, and its event says more.
   */
  readonly reason: 'nan' | 'infinite' | 'plateau' | 'gradients' | 'weights' | 'other';
  readonly loss: number;
  /** The first layer in the net's order with non-finite (or exploded) values, and its blob; null if none was found. */
  readonly layer: string | null;
  readonly blob: string | null;
  /** The weights file of the last snapshot of this run (or of the one that it resumed); null if there is none. */
  readonly lastSnapshot: string | null;
  /** A message with all of this. */
  readonly message: string;
}

/** The last event, unless an error is thrown. */
export interface DoneEvent {
  readonly type: 'done';
  /** Iterations done. */
  readonly iteration: number;
  /** `max_iter` was reached, a stop was requested, or training diverged. */
  readonly reason: 'finished' | 'stopped' | 'diverged';
  /** The last loss and its running mean; null if no iteration ran. */
  readonly loss: number | null;
  readonly smoothedLoss: number | null;
  /** The last snapshot's weights. */
  readonly weights: string | null;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  readonly waiting: number;
}

export type SolverEvent =
  | StartEvent
  | IterationEvent
  | TestEvent
  | SnapshotEvent
  | DebugInfoEvent
  | WarningEvent
  | DivergedEvent
  | DoneEvent;
