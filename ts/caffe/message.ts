/**
 * A parsed message is a plain object with protobuf's own field names; only the fields that were written are
 * set. Where it stood in its file is kept beside it, so that later errors can point there.
 */
import type { Position } from '../base/errors.ts';

export type Message = Record<string, unknown>;

/** Where a layer keeps what was refused inside of it: a symbol's property goes along when a layer is spread. */
const REFUSED = Symbol('refused fields');
type Refusing = { [REFUSED]?: readonly Error[] };

/** Remembers what a layer cannot be built with; whoever builds, prints or reads its data throws it. */
export function refuseLater(layer: Message & Refusing, refusal: Error): void {
  layer[REFUSED] = [...(layer[REFUSED] ?? []), refusal];
}

/** The first of what `refuseLater` was told about a layer. */
export const refusalOf = (layer: object): Error | undefined => (layer as Refusing)[REFUSED]?.[0];

interface Origin {
  readonly position: Position;
  readonly fields: Map<string, Position>;
}

const origins = new WeakMap<object, Origin>();

/** Remembers where a message began. */
export function recordMessage(message: object, position: Position): void {
  origins.set(message, { position, fields: new Map() });
}

/** Remembers where a field of a message was first written. */
export function recordField(message: object, field: string, position: Position): void {
  const origin = origins.get(message);
  if (origin !== undefined && !origin.fields.has(field)) origin.fields.set(field, position);
}

/** Gives `to` (a rewritten form of `from`) the origin of `from`, and what was refused in it. */
export function inheritPosition(to: object, from: object): void {
  const refused = (from as Refusing)[REFUSED];
  if (refused !== undefined) (to as Refusing)[REFUSED] = refused;
  const origin = origins.get(from);
  if (origin !== undefined && !origins.has(to)) origins.set(to, origin);
}

/**
 * Where a message, or one of its fields, stands in its file. Undefined for a message made in code;
 * a field that was not written has the place of its message.
 */
export function positionOf(message: object | undefined, field?: string): Position | undefined {
  const origin = message === undefined ? undefined : origins.get(message);
  return (field === undefined ? undefined : origin?.fields.get(field)) ?? origin?.position;
}
