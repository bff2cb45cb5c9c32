/** A snapshot that does not fit the run that resumes from it: one sentence, with a way to continue. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DataError, type ResnodeError } from '../../ts/base/errors.ts';
import { collect, type Fakes, fakeSolver, fakes, ofType } from './fakes.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-elsewhere-'));
test.after(() => rmSync(folder, { recursive: true }));
const snapshot = join(folder, 'fake_iter_2.solverstate');
await collect(fakeSolver(fakes(), folder, 'max_iter: 2 random_seed: 1'));

const warnings = async (text: string) =>
  ofType(await collect(fakeSolver(fakes(), folder, text, { snapshot })), 'warning').map(
    ({ code, message }) => `${code} ${message}`,
  );
const refused = async (change: (world: Fakes) => void): Promise<ResnodeError> => {
  const world = fakes();
  change(world);
  try {
    await collect(fakeSolver(world, folder, 'max_iter: 4', { data: world.data, snapshot }));
  } catch (error) {
    return error as ResnodeError;
  }
  return assert.unreachable('it was not refused') as never;
};

test('a snapshot at or past max_iter gives a warning that says what to raise', async () => {
  for (const most of [1, 2])
    assert.match(
      (await warnings(`max_iter: ${most}`)).join(),
      /solver\/nothing-left .*iteration 2.*raise max_iter/,
    );
  assert.equal(await warnings('max_iter: 3'), []);
});

test('another solver type gives a warning that names both', async () => {
  assert.match(
    (await warnings('max_iter: 3 type: "Nesterov"')).join(),
    /solver\/other-type .*type SGD, this one has type Nesterov/,
  );
});

test('a history that does not fit is refused with the snapshot and the way to continue', async () => {
  const error = await refused(({ device }) => {
    device.train = () => Promise.reject(new ArgumentError('history', '4 arrays', '2'));
  });
  assert.is(error.code, 'weights/other-history');
  assert.match(error.message, /fake_iter_2\.solverstate: .*--weights .*fake_iter_2\.caffemodel/);
});

test('changed data is refused with the file to remove in order to continue', async () => {
  const error = await refused((world) => {
    const { data } = world;
    Object.assign(world, {
      data: async (...words: Parameters<typeof data>) => ({
        ...(await data(...words)),
        restore: () => {
          throw new DataError('data/state', { layer: 'data' }, 'an epoch had 100 samples; here it has 90');
        },
      }),
    });
  });
  assert.match(error.message, /100 samples.*remove .*fake_iter_2\.solverstate\.json/);
});

test.run();
