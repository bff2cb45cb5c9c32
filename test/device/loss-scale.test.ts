/**
 * A dynamic loss scale halves when an update is skipped, and doubles after 2000 updates without a skip, as GradScaler
 * does.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LossScale } from '../../ts/device/loss-scale.ts';
import { ArgumentError } from '../../ts/index.ts';

const update = {};
const dynamic = () => new LossScale({ precision: 'float16', lossScale: 'dynamic', update });

test('it halves with each skipped update, down to a minimum', () => {
  const scale = dynamic();
  assert.is(scale.factor, 65536);
  scale.updated(true, 65536);
  scale.updated(true, 32768);
  assert.is(scale.factor, 16384);
  for (let i = 0; i < 100; i++) scale.updated(true, scale.factor);
  assert.is(scale.factor, 2 ** -14);
});

test('it doubles after 2000 updates in a row without a skip, up to a maximum', () => {
  const scale = dynamic();
  for (let i = 0; i < 1999; i++) scale.updated(false, 65536);
  scale.updated(true, 65536);
  for (let i = 0; i < 1999; i++) scale.updated(false, 32768);
  assert.is(scale.factor, 32768);
  scale.updated(false, 32768);
  assert.is(scale.factor, 65536);
  for (let i = 0; i < 100_000; i++) scale.updated(false, scale.factor);
  assert.is(scale.factor, 2 ** 24);
});

test('results of passes with an earlier factor do not count again', () => {
  const scale = dynamic();
  for (let i = 0; i < 3; i++) scale.updated(true, 65536);
  assert.is(scale.factor, 32768);
});

test('it continues from its state; a constant does not change', () => {
  const scale = dynamic();
  scale.restore({ factor: 512, since: 1999 });
  scale.updated(false, 512);
  assert.equal(scale.state, { factor: 1024, since: 0 });
  const constant = new LossScale({ precision: 'float16', update });
  constant.restore({ factor: 512, since: 3 });
  constant.updated(true, 1024);
  assert.equal([constant.factor, constant.state], [1024, null]);
});

test('it needs 16 bits and an update in which a skip shows', () => {
  for (const options of [
    { lossScale: 'dynamic', update },
    { lossScale: 'dynamic', precision: 'tf32', update },
    { lossScale: 'dynamic', precision: 'float16', update: null },
  ] as const)
    assert.throws(
      () => new LossScale(options),
      (error: Error) => error instanceof ArgumentError && /lossScale/.test(error.message),
    );
});

test.run();
