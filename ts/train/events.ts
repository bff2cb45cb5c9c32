/** What a solver reports while it trains: plain data, one JSON line each under `resnode train --json`. */

/** One output blob of a net: Caffe's "Train net output" and "Test net output" lines. */
export interface OutputValue {
  readonly name: string;
  /** The blob's elements, row-major; a loss or an accuracy has one. In a test their means over all batches. */
  readonly values: readonly number[];
  /** 0 where the blob is no loss. The value itself is not weighted. */
  readonly lossWeight: number;
  /** Of a DetectionEvaluate's mean average precision that of each class, where `show_per_class_result` asks for it. */
  readonly classes?: readonly ClassPrecision[];
}

/** The average precision of one class: 0 where it is never found. */
export interface ClassPrecision {
  readonly label: number;
  readonly precision: number;
}

/** How a BatchNorm layer normalises while it trains. */
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
  /** The iteration to begin with, from 0: that of the snapshot where training goes on. */
  readonly iteration: number;
  readonly maxIterations: number;
  /** SGD, Adam, … */
  readonly rule: string;
  /** fixed, step, …, or `cosine`. */
  readonly policy: string;
  readonly warmup: { readonly iterations: number; readonly rate: number } | null;
  /** Samples of one forward pass, and of one iteration (times iter_size). */
  readonly batch: number;
  readonly samplesPerIteration: number;
  /** Samples of the training data; null where their number is unknown. */
  readonly epochSize: number | null;
  /** Values that the solver learns. */
  readonly learnable: number;
  /** Of the fillers and the data, drawn where `random_seed` is not written. */
  readonly seed: number;
  readonly batchNorms: readonly LayerBatchNorm[];
  /** Layers whose weights came from files, and layers that kept their fillers. */
  readonly loaded: readonly string[];
  readonly filled: readonly string[];
  /** `20 of 23 layers have weights from the file; at their fillers: …; unused in the file: …`; null where none were given. */
  readonly weights: string | null;
  /** Layers of the files that the net has not. */
  readonly unused: readonly string[];
  /** Test nets: how many batches each is tested with. */
  readonly tests: readonly { readonly iterations: number }[];
}

/** One iteration is done: every one is reported, `display` marks those that Caffe would print. */
export interface IterationEvent {
  readonly type: 'iteration';
  /** Caffe's number: counted from 0, so that this loss is what the weights gave before update `iteration` + 1. */
  readonly iteration: number;
  readonly display: boolean;
  /** Mean over iter_size passes of the sum of weighted losses. */
  readonly loss: number;
  /** Caffe's running mean over `average_loss` iterations. */
  readonly smoothedLoss: number;
  readonly rate: number;
  /** Of the last forward pass, as Caffe prints them; in the net's order (sorted by name). */
  readonly outputs: readonly OutputValue[];
  /** Samples a second since the last displayed iteration, tests and snapshots left out. */
  readonly imagesPerSecond: number;
  /** Seconds since the start event, all included. */
  readonly elapsed: number;
  /** Seconds to max_iter at the pace so far, tests and snapshots included; null where nothing was measured yet. */
  readonly remaining: number | null;
  /** Share of the training time (0 to 1) spent waiting for data, since the last displayed iteration. */
  readonly waiting: number;
}

/** One test net was run over its batches. */
export interface TestEvent {
  readonly type: 'test';
  /** Iterations done before this test. */
  readonly iteration: number;
  /** Which test net, from 0. */
  readonly net: number;
  /** Batches that were run: test_iter. */
  readonly iterations: number;
  readonly outputs: readonly OutputValue[];
  /** Mean weighted loss; null without `test_compute_loss`. */
  readonly loss: number | null;
  readonly seconds: number;
}

/** A snapshot was written, all of it. */
export interface SnapshotEvent {
  readonly type: 'snapshot';
  /** Iterations done. */
  readonly iteration: number;
  readonly weights: string;
  /** Of the weights' average, where the solver has an ema_decay. */
  readonly average?: string;
  readonly state: string;
  readonly reason: 'interval' | 'request' | 'end';
  readonly seconds: number;
}

/** Mean absolute values, as Caffe's debug_info prints them: at displayed iterations where `debug_info` is set. */
export interface DebugInfoEvent {
  readonly type: 'debug_info';
  readonly iteration: number;
  /** Blobs in the net's order; diffs are null where the backward pass does not reach. */
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
  /** Stable, e.g. `solver/iter-size-batch-norm`. */
  readonly code: string;
  readonly message: string;
}

/** Training diverged. It ends without another snapshot, so that the last one remains the last. */
export interface DivergedEvent {
  readonly type: 'diverged';
  readonly iteration: number;
  /**
   * The loss is NaN or infinite, or log(FLT_MIN): every true class has got the probability 0. Or the gradients of many
   * updates in a row are not finite in 16 bits. `weights`: a weight is NaN or infinite where a snapshot was due. `other`:
   * in another process, whose own event says more.
   */
  readonly reason: 'nan' | 'infinite' | 'plateau' | 'gradients' | 'weights' | 'other';
  readonly loss: number;
  /** The first layer in the net's order whose values are not finite (or exploded), and its blob; null if none was found. */
  readonly layer: string | null;
  readonly blob: string | null;
  /** The weights file of the last snapshot of this run (or the one it began with); null if there is none. */
  readonly lastSnapshot: string | null;
  /** One sentence with all of it. */
  readonly message: string;
}

/** The last event, but for an error that was thrown. */
export interface DoneEvent {
  readonly type: 'done';
  /** Iterations done. */
  readonly iteration: number;
  /** `max_iter` was reached, somebody asked for a stop, or training diverged. */
  readonly reason: 'finished' | 'stopped' | 'diverged';
  /** The last loss and its running mean; null where no iteration ran. */
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
