/** What fine-tuning reports beside the events of its solver. */

import type { LabelsSummary } from '../../images/evaluate/several-labels.ts';
import type { OutcomeSummary } from '../../images/evaluate/statistics.ts';
import type { SolverEvent } from '../events.ts';
import type { FinetuneFiles } from './files.ts';
import type { Split } from './split.ts';

/** The images were split and everything that the training takes was written. */
export interface SplitEvent {
  readonly type: 'split';
  readonly classes: readonly string[];
  readonly train: number;
  readonly val: number;
  readonly from: Split['from'];
  /** Name of the new last layer. */
  readonly head: string;
  /** What of the folders is not taken: by name no images, hidden, or a folder without images. */
  readonly ignored: readonly string[];
}

/** The result was judged: every image that was not trained with, through the deploy net and `preprocess.json`. */
export interface EvaluatedEvent {
  readonly type: 'evaluated';
  readonly summary: OutcomeSummary;
  readonly imagesPerSecond: number;
}

/** Everything is written. */
export interface WrittenEvent {
  readonly type: 'written';
  readonly files: FinetuneFiles['paths'];
  /** Of the whole, in seconds. */
  readonly seconds: number;
  /** The most memory that the process has held, in bytes. */
  readonly peakMemory: number;
}

/** The training was stopped before its end: what it came to lies in a snapshot. */
export interface StoppedEvent {
  readonly type: 'stopped';
  readonly iteration: number;
  /** Paths; `null` where nothing was written. */
  readonly snapshot: { readonly weights: string; readonly state: string } | null;
  /** What `resnode train` goes on with. */
  readonly solver: string;
  readonly augment: string;
}

/** The same where images have several labels. */
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
