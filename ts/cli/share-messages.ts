/** The messages between processes of a shared command, in the order in which they are sent. */
import { deserialize, serialize } from 'node:v8';
import type { Communicator } from '../device/communicator.ts';
import type { Failed } from './other-failed.ts';

/** From the first process to another one. */
export type Order =
  | { readonly kind: 'go' }
  | { readonly kind: 'dealt'; readonly items: readonly unknown[]; readonly total: number }
  /** The last message. */
  | { readonly kind: 'end'; readonly status: number };

/** From another process to the first. */
export type Report =
  | { readonly kind: 'hello'; readonly words: readonly string[] }
  | { readonly kind: 'warning'; readonly code: string; readonly message: string }
  | { readonly kind: 'part'; readonly part: unknown }
  | ({ readonly kind: 'failed' } & Failed)
  /** The last message. */
  | { readonly kind: 'over' };

/** @throws as `Communicator.send` */
export const send = (communicator: Communicator, rank: number, message: Order | Report): Promise<void> =>
  communicator.send(rank, serialize(message));

/** @throws as `Communicator.receive` */
export async function receive<Message extends Order | Report>(
  communicator: Communicator,
  rank: number,
  signal?: AbortSignal,
): Promise<Message> {
  return deserialize(await communicator.receive(rank, signal === undefined ? {} : { signal })) as Message;
}
