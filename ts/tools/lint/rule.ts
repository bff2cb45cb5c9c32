/** What a rule is, and what it looks at. */

import { formatPosition, type Position } from '../../base/errors.ts';
import type { Message } from '../../caffe/message.ts';
import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import type { SolverParameter } from '../../caffe/solver-parameter.ts';
import type { Graph } from '../../graph/graph.ts';

/** error: Caffe refuses it or computes something else; warning: hardly meant; note: worth knowing. */
export type Level = 'error' | 'warning' | 'note';

/** One place where a rule holds. */
export interface Found {
  readonly position: Position | undefined;
  readonly message: string;
  /** Where it is not the rule's own. */
  readonly level?: Level;
  /** Where it is not the rule's own. */
  readonly fix?: string;
}

/** A net as one phase sees it. */
export interface LintState {
  readonly phase: 'TRAIN' | 'TEST';
  /** Phase TRAIN, and there is a loss. */
  readonly trains: boolean;
  /** Upgraded, in file order. */
  readonly layers: readonly LayerParameter[];
  /** What of it could be built, whatever its `param`s say. */
  readonly graph: Graph;
  /** Why a layer is not in the graph. */
  readonly missing: ReadonlyMap<LayerParameter, string>;
  /** Shapes of inputs are a configuration's defaults (graph/assumed-shapes): what does not fit them may fit the true ones. */
  readonly assumesShapes: boolean;
  /** A blob's shape, where it is known. */
  shapeOf(blob: string): readonly number[] | undefined;
}

export interface LintNet {
  /** As it was written, before any upgrade. */
  readonly written: Message;
  readonly net: NetParameter;
  /** The phases in which the net has inputs. */
  readonly states: readonly LintState[];
  /** Where a file or folder that the net names lies; undefined where there is none. */
  find(path: string): string | undefined;
  /** Reads a file that the net names; undefined where there is none. */
  read(path: string): Uint8Array | undefined;
}

export interface LintSolver {
  readonly written: Message;
  readonly solver: SolverParameter;
  /** The net that it trains, in phase TRAIN; undefined where it was not found. */
  trainLayers(): readonly LayerParameter[] | undefined;
}

interface RuleText {
  readonly name: string;
  readonly level: Level;
  /** What it finds. */
  readonly finds: string;
  /** Why that matters, with its source. */
  readonly why: string;
  readonly fix: string;
}

/** A rule about the text is reported by the reader itself. */
export type Rule = RuleText &
  (
    | { readonly on: 'text' }
    | { readonly on: 'net'; readonly check: (net: LintNet) => Iterable<Found> }
    | { readonly on: 'solver'; readonly check: (solver: LintSolver) => Iterable<Found> }
  );

/** `layer "conv1" (Convolution)`. */
export const nameOf = ({ name = '', type = '' }: LayerParameter): string => `layer "${name}" (${type})`;

/** An error's message without the place before it. */
export function messageOf(error: Error & { readonly position?: Position | undefined }): string {
  const place = error.position === undefined ? '' : `${formatPosition(error.position)}: `;
  return error.message.startsWith(place) ? error.message.slice(place.length) : error.message;
}
