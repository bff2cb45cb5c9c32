/**
 * A parsed message is a plain object with protobuf's own field names, and only with the fields that were written. Its
 * position in its file is stored separately, so that later errors can refer to it.
 */
import type { Position } from '../base/errors.ts';

export type Message = Record<string, unknown>;

/** The key of a layer's delayed errors. A property with a symbol is copied when a layer is spread. */
const REFUSED = Symbol('refused fields');
type Refusing = { [REFUSED]?: readonly Error[] };

/** Stores an error that prevents building a layer. Building, printing or reading its data throws it. */
export function refuseLater(layer: Message & Refusing, refusal: Error): void {
  layer[REFUSED] = [...(layer[REFUSED] ?? []), refusal];
}

/** The first delayed error of a layer. */
export const refusalOf = (layer: object): Error | undefined => (layer as Refusing)[REFUSED]?.[0];

interface Origin {
  readonly position: Position;
  readonly fields: Map<string, Position>;
}

const origins = new WeakMap<object, Origin>();

/** Stores the position of a message. */
export function recordMessage(message: object, position: Position): void {
  origins.set(message, { position, fields: new Map() });
}

/** Stores the position at which a field of a message was first written. */
export function recordField(message: object, field: string, position: Position): void {
  const origin = origins.get(message);
  if (origin !== undefined && !origin.fields.has(field)) origin.fields.set(field, position);
}

/** Gives `to` (a rewritten form of `from`) the position and the delayed errors of `from`. */
export function inheritPosition(to: object, from: object): void {
  const refused = (from as Refusing)[REFUSED];
  if (refused !== undefined) (to as Refusing)[REFUSED] = refused;
  const origin = origins.get(from);
  if (origin !== undefined && !origins.has(to)) origins.set(to, origin);
}

/**
 * The position of a message, or of one of its fields, in its file. Undefined for a message made in code.
 * A field that was not written has the position of its message.
 */
export function positionOf(message: object | undefined, field?: string): Position | undefined {
  const origin = message === undefined ? undefined : origins.get(message);
  return (field === undefined ? undefined : origin?.fields.get(field)) ?? origin?.position;
}
