/** A short day of a service; `npm run soak` runs the long one. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describe, soak } from './soak.ts';

test('a service answers every request while one in ten is hostile and workers come and go', async () => {
  const figures = await soak(600, 3, 1);
  console.log(`figures: ${describe(figures)}`);
  assert.equal(figures.lost, []);
  const answered = Object.values(figures.statuses).reduce((sum, count) => sum + count, 0);
  assert.is(answered + figures.abandoned, 600);
  assert.ok(figures.statuses[422]! > 10, 'hostile requests are refused');
});

test.run();
