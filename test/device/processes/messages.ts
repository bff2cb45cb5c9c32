/**
 * Run by communicator.test.ts in several processes: sends messages to the first process and back, and prints their
 * lengths.
 */
import { openCommunicator } from '../../../ts/device/communicator.ts';

// None, one byte, more than is sent at once, more than one piece.
const LENGTHS = [0, 1, 100_000, 70_000_000];
const communicator = await openCommunicator();
const { rank, size } = communicator;
if (rank > 0) {
  for (const length of LENGTHS) await communicator.send(0, new Uint8Array(length).fill(rank));
  const [answer] = await communicator.receive(0);
  if (answer !== rank) throw new Error(`process ${rank} got ${answer}`);
} else {
  const heard: Record<number, number[]> = {};
  for (let other = size - 1; other > 0; other--) {
    const lengths: number[] = [];
    for (const _ of LENGTHS) {
      const message = await communicator.receive(other);
      if (message.some((byte) => byte !== other)) throw new Error(`process ${other} sent other bytes`);
      lengths.push(message.length);
    }
    heard[other] = lengths;
    await communicator.send(other, Uint8Array.of(other));
  }
  console.log(JSON.stringify(heard));
}
await communicator.finish();
