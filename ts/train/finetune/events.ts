/** The events of fine-tuning, in addition to those of its solver. */

import type { LabelsSummary } from '../../images/evaluate/several-labels.ts';
import type { OutcomeSummary } from '../../images/evaluate/statistics.ts';
import type { SolverEvent } from '../events.ts';
import type { FinetuneFiles } from './files.ts';
import type { Split } from './split.ts';

/** The images were split, and all files that the training reads were written. */
export interface SplitEvent {
  readonly type: 'split';
  readonly classes: readonly string[];
  readonly train: number;
  readonly val: number;
  readonly from: Split['from'];
  /** The name of the new last layer. */
  readonly head: string;
  /** Ignored entries of the folders: hidden files, names that are not of images, and folders without images. */
  readonly ignored: readonly string[];
}

/** The result was evaluated on all images that were held out, with the deploy net and `preprocess.json`. */
export interface EvaluatedEvent {
  readonly type: 'evaluated';
  readonly summary: OutcomeSummary;
  readonly imagesPerSecond: number;
}

/** All files were written. */
export interface WrittenEvent {
  readonly type: 'written';
  readonly files: FinetuneFiles['paths'];
  /** Seconds that all of it took. */
  readonly seconds: number;
  /** The largest amount of memory that the process held, in bytes. */
  readonly peakMemory: number;
}

/** The training was stopped before its end; a snapshot holds its state. */
export interface StoppedEvent {
  readonly type: 'stopped';
  readonly iteration: number;
  /** Paths; `null` if nothing was written. */
  readonly snapshot: { readonly weights: string; readonly state: string } | null;
  /** The solver with which `resnode train` can continue. */
  readonly solver: string;
  readonly augment: string;
}

/** The evaluation of images with several labels. */
export interface LabelsEvaluatedEvent {
  readonly type: 'evaluatedLabels';
  readonly summary: LabelsSummary;
  readonly imagesPerSecond: number;
}

export type FinetuneEvent =
  | SolverEvent
  | SplitEvent
  | EvaluatedEvent
  | LabelsEvaluatedEvent
  | WrittenEvent
  | StoppedEvent;
