import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { balancedOrder } from '../../ts/data/balanced-order.ts';

// 6 of class 0, 30 of class 1, 4 of class −1.
const labels = Array.from({ length: 40 }, (_, i) => (i % 7 === 0 ? 0 : i % 10 === 9 ? -1 : 1));

test('every class comes equally often, and all its samples come before one is repeated', async () => {
  const order = await balancedOrder(labels, 3);
  assert.is(order.length, labels.length);
  for (const label of [0, 1, -1]) {
    const places = [...order].filter((index) => labels[index] === label);
    const members = labels.filter((each) => each === label).length;
    assert.ok(Math.abs(places.length - 40 / 3) < 1, `class ${label}: ${places.length}`);
    for (let from = 0; from + members <= places.length; from += members)
      assert.is(new Set(places.slice(from, from + members)).size, members);
    assert.is(new Set(places).size, Math.min(places.length, members));
  }
  // Never more than one round out of balance: any three positions of a round contain all three classes.
  for (let from = 0; from + 3 <= 39; from += 3)
    assert.is(new Set([...order].slice(from, from + 3).map((index) => labels[index])).size, 3);
});

test('the same seed gives the same order and another seed another one; a single class is shuffled', async () => {
  assert.equal(await balancedOrder(labels, 5), await balancedOrder(labels, 5));
  assert.not.equal(await balancedOrder(labels, 5), await balancedOrder(labels, 6));
  const one = await balancedOrder(Array<number>(9).fill(2), 1);
  assert.equal([...one].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test.run();
