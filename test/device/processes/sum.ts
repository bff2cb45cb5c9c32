/** Run by communicator.test.ts in several processes: sums, and what happens if one of them dies. */
import { openCommunicator } from '../../../ts/device/communicator.ts';

const communicator = await openCommunicator();
const { rank, size } = communicator;
if (process.argv[2] === 'die' && rank === 1) process.exit(3);
const length = 5_000_000; // more than one piece
const sum = await communicator.sum(Float32Array.from({ length }, (_, i) => (rank + 1) * (i % 7) * 0.1));
const digest = sum.reduce((hash, value) => (hash * 31 + value) % 1e9, 0);
const digests = await communicator.sum(Float32Array.of(digest / size));
console.log(
  JSON.stringify({
    rank,
    size,
    first: [...sum.subarray(0, 3)],
    last: sum.at(-1),
    same: Math.fround(digest / size) * size === digests[0],
  }),
);
await communicator.finish();
