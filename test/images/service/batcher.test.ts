/** Waiting requests run together: sizes, delays, failures, aborts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Batcher } from '../../../ts/images/service/batcher.ts';

/** A device that answers on command. */
function manual() {
  const runs: { items: readonly number[]; finish: (error?: Error) => void }[] = [];
  const run = (items: readonly number[]) =>
    new Promise<number[]>((resolve, reject) => {
      runs.push({
        items,
        finish: (error) => (error === undefined ? resolve(items.map((item) => -item)) : reject(error)),
      });
    });
  return { runs, run };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));
const opened = { sizes: [1, 2, 4], maxDelay: 0, concurrency: 1 };

test('requests that arrive while the device is busy run in the largest batches that they fill, in order', async () => {
  const { runs, run } = manual();
  const batcher = new Batcher(opened, run);
  const results = Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map((item) => batcher.add(item)));
  for (let i = 0; i < 4; i++) {
    await turn();
    runs[i]!.finish();
  }
  assert.equal(await results, [-1, -2, -3, -4, -5, -6, -7, -8]);
  assert.equal(
    runs.map(({ items }) => items),
    [[1], [2, 3, 4, 5], [6, 7], [8]],
  );
  assert.equal(
    [...batcher.batches],
    [
      [1, 2],
      [4, 1],
      [2, 1],
    ],
  );
});

test('with a delay the first request waits for a full batch, but no longer than the delay', async () => {
  const { runs, run } = manual();
  const batcher = new Batcher({ ...opened, maxDelay: 40 }, run);
  const started = performance.now();
  const three = Promise.all([1, 2, 3].map((item) => batcher.add(item)));
  await turn();
  assert.is(runs.length, 0);
  const fourth = batcher.add(4);
  await turn();
  assert.equal(
    runs.map(({ items }) => items),
    [[1, 2, 3, 4]],
  );
  runs[0]!.finish();
  assert.equal([...(await three), await fourth], [-1, -2, -3, -4]);
  const alone = batcher.add(5);
  while (runs.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(performance.now() - started >= 39); // timers count whole milliseconds since the last one
  runs[1]!.finish();
  assert.is(await alone, -5);
});

test('a run that fails rejects only its own items', async () => {
  const { runs, run } = manual();
  const batcher = new Batcher(opened, run);
  const [first, ...others] = [1, 2, 3].map((item) => batcher.add(item));
  runs[0]!.finish(new Error('device lost'));
  await first!.then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, 'device lost'),
  );
  await turn();
  runs[1]!.finish();
  assert.equal(await Promise.all(others), [-2, -3]);
});

test('a signal removes an item from the queue, and drops the result of a running one', async () => {
  const { runs, run } = manual();
  const batcher = new Batcher(opened, run);
  const [under, waits] = [new AbortController(), new AbortController()];
  const reasons = [batcher.add(1, under.signal), batcher.add(2, waits.signal)].map((result) =>
    result.then(
      () => 'answered',
      (reason: Error) => reason.message,
    ),
  );
  const third = batcher.add(3);
  under.abort(new Error('gone'));
  waits.abort(new Error('late'));
  assert.equal(await Promise.all(reasons), ['gone', 'late']);
  runs[0]!.finish();
  await turn();
  assert.equal(runs[1]!.items, [3]);
  runs[1]!.finish();
  assert.is(await third, -3);
});

test('after closing, waiting and new requests are rejected, and the running ones are answered', async () => {
  const { runs, run } = manual();
  const batcher = new Batcher(opened, run);
  const messageOf = (result: Promise<number>) => result.then(String, (error: Error) => error.message);
  const results = [batcher.add(1), batcher.add(2)].map(messageOf);
  batcher.close(new Error('closed'));
  results.push(messageOf(batcher.add(3)));
  runs[0]!.finish();
  assert.equal(await Promise.all(results), ['-1', 'closed', 'closed']);
});

test.run();
