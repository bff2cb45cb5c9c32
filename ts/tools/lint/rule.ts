/** Rules, and what they examine. */

import { formatPosition, type Position } from '../../base/errors.ts';
import type { Message } from '../../caffe/message.ts';
import type { LayerParameter, NetParameter } from '../../caffe/net-parameter.ts';
import type { SolverParameter } from '../../caffe/solver-parameter.ts';
import type { Graph } from '../../graph/graph.ts';

/** error: Caffe refuses it or computes something else; warning: probably a mistake; note: worth knowing. */
export type Level = 'error' | 'warning' | 'note';

/** A place to which a rule applies. */
export interface Found {
  readonly position: Position | undefined;
  readonly message: string;
  /** If it differs from the rule's own. */
  readonly level?: Level;
  /** If it differs from the rule's own. */
  readonly fix?: string;
}

/** A net in one phase. */
export interface LintState {
  readonly phase: 'TRAIN' | 'TEST';
  /** True in phase TRAIN if there is a loss. */
  readonly trains: boolean;
  /** Upgraded, in file order. */
  readonly layers: readonly LayerParameter[];
  /** The part of the net that could be built, regardless of its `param`s. */
  readonly graph: Graph;
  /** Why a layer is not in the graph. */
  readonly missing: ReadonlyMap<LayerParameter, string>;
  /**
   * The inputs have a configuration's default shapes (graph/assumed-shapes). Layers that do not fit them may fit the true
   * ones.
   */
  readonly assumesShapes: boolean;
  /** A blob's shape, if it is known. */
  shapeOf(blob: string): readonly number[] | undefined;
}

export interface LintNet {
  /** As it was written, before any upgrade. */
  readonly written: Message;
  readonly net: NetParameter;
  /** The phases in which the net has inputs. */
  readonly states: readonly LintState[];
  /** The path of a file or folder that the net names; undefined if it does not exist. */
  find(path: string): string | undefined;
  /** Reads a file that the net names; undefined if it does not exist. */
  read(path: string): Uint8Array | undefined;
}

export interface LintSolver {
  readonly written: Message;
  readonly solver: SolverParameter;
  /** The net that it trains, in phase TRAIN; undefined if it was not found. */
  trainLayers(): readonly LayerParameter[] | undefined;
}

interface RuleText {
  readonly name: string;
  readonly level: Level;
  /** What it finds. */
  readonly finds: string;
  /** Why it matters, with a source. */
  readonly why: string;
  readonly fix: string;
}

/** The reader itself reports a rule about the text. */
export type Rule = RuleText &
  (
    | { readonly on: 'text' }
    | { readonly on: 'net'; readonly check: (net: LintNet) => Iterable<Found> }
    | { readonly on: 'solver'; readonly check: (solver: LintSolver) => Iterable<Found> }
  );

/** `layer "conv1" (Convolution)`. */
export const nameOf = ({ name = '', type = '' }: LayerParameter): string => `layer "${name}" (${type})`;

/** An error's message without its position. */
export function messageOf(error: Error & { readonly position?: Position | undefined }): string {
  const place = error.position === undefined ? '' : `${formatPosition(error.position)}: `;
  return error.message.startsWith(place) ? error.message.slice(place.length) : error.message;
}
