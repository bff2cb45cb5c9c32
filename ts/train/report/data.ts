/** The data of a training report, collected from the run's events; it is also the JSON file beside the page. */
import type { Chart } from '../../pages/chart.ts';
import type {
  DivergedEvent,
  DoneEvent,
  SnapshotEvent,
  SolverEvent,
  StartEvent,
  TestEvent,
  WarningEvent,
} from '../events.ts';
import { Curve, type CurvePoint } from './curve.ts';

/** A further section of the report, e.g. about an evaluation after the training. */
export interface ReportSection {
  readonly title: string;
  readonly rows: readonly (readonly [name: string, value: string])[];
  /** Whether it precedes the curves, because readers look for it first. Default false. */
  readonly leads?: boolean;
  /** Below the rows. */
  readonly table?: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };
  /** How often images of a class (row) were assigned to each class (column). */
  readonly confusions?: ConfusionMatrix;
  /** Pictures with captions, e.g. of images that were classified wrongly. */
  readonly pictures?: readonly ReportPicture[];
  /** At the end of the section. */
  readonly charts?: readonly Chart[];
}

export interface ConfusionMatrix {
  /** The names of the classes. */
  readonly labels: readonly string[];
  /** Indexed by the true class, then by the predicted class. */
  readonly counts: readonly (readonly number[])[];
}

export interface ReportPicture {
  /** Base64. */
  readonly jpeg: string;
  readonly caption: string;
}

export interface ReportData {
  readonly format: 'resnode-training-report/1';
  readonly start: StartEvent | null;
  /** By iteration. Each has at most 600 points; if there were more, a point is a mean with its extremes. */
  readonly curves: {
    readonly loss: readonly CurvePoint[];
    readonly rate: readonly CurvePoint[];
    /** Images per second, at displayed iterations. */
    readonly throughput: readonly CurvePoint[];
    /** Share of the time spent waiting for data, at displayed iterations. */
    readonly waiting: readonly CurvePoint[];
  };
  readonly tests: readonly TestEvent[];
  readonly snapshots: readonly SnapshotEvent[];
  readonly warnings: readonly WarningEvent[];
  readonly diverged: DivergedEvent | null;
  /** Null if the training ended with an error. */
  readonly done: DoneEvent | null;
  readonly sections: readonly ReportSection[];
}

export class ReportCollector {
  #start: StartEvent | null = null;
  readonly #loss = new Curve();
  readonly #rate = new Curve();
  readonly #throughput = new Curve();
  readonly #waiting = new Curve();
  readonly #tests: TestEvent[] = [];
  readonly #snapshots: SnapshotEvent[] = [];
  readonly #warnings: WarningEvent[] = [];
  #diverged: DivergedEvent | null = null;
  #done: DoneEvent | null = null;
  readonly #sections: ReportSection[] = [];

  add(event: SolverEvent): void {
    switch (event.type) {
      case 'start':
        this.#start = event;
        break;
      case 'iteration':
        this.#loss.add(event.iteration, event.loss);
        this.#rate.add(event.iteration, event.rate);
        if (event.display) {
          // Nothing was timed before the first displayed iteration.
          if (event.imagesPerSecond > 0) this.#throughput.add(event.iteration, event.imagesPerSecond);
          this.#waiting.add(event.iteration, event.waiting);
        }
        break;
      case 'test':
        this.#tests.push(event);
        break;
      case 'snapshot':
        this.#snapshots.push(event);
        break;
      case 'warning':
        this.#warnings.push(event);
        break;
      case 'diverged':
        this.#diverged = event;
        break;
      case 'done':
        this.#done = event;
        break;
    }
  }

  addSection(section: ReportSection): void {
    this.#sections.push(section);
  }

  data(): ReportData {
    return {
      format: 'resnode-training-report/1',
      start: this.#start,
      curves: {
        loss: this.#loss.points(),
        rate: this.#rate.points(),
        throughput: this.#throughput.points(),
        waiting: this.#waiting.points(),
      },
      tests: this.#tests,
      snapshots: this.#snapshots,
      warnings: this.#warnings,
      diverged: this.#diverged,
      done: this.#done,
      sections: this.#sections,
    };
  }
}
