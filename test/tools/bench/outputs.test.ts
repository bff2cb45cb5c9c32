/** Losses as torch 2.13 and resnode gave them for steps of ResNet-50 (batch 2, rate 10⁻⁵), and what they must not be. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findDifference } from '../../../ts/tools/bench/run-bench.ts';

const resnode = [9.63151, 8.889062, 8.057856, 7.649467];
const torch = [9.631516, 8.887527, 8.053629, 7.588662];

test('outputs agree up to rounding, and NaN agrees with nothing', () => {
  assert.is(findDifference('forward', [0.1, 0.90001], [0.1, 0.9]), null);
  assert.match(findDifference('forward', [0.1, 0.9002], [0.1, 0.9])!, /of the largest output/);
  assert.match(findDifference('forward', [0.1, Number.NaN], [0.1, 0.9])!, /NaN/);
  assert.match(findDifference('forward', [0.1], [0.1, 0.9])!, /Infinity/);
});

test('rounding differences between two engines are no difference in training', () => {
  assert.is(findDifference('training', torch, resnode), null);
});

test('losses from other weights, without update, without momentum, or that are NaN differ', () => {
  const differ = (losses: number[]) => findDifference('training', losses, resnode);
  assert.match(differ(torch.map((loss) => loss * 1.001))!, /first loss/);
  assert.match(differ(torch.map(() => torch[0]!))!, /the changes of the losses during training/);
  // Drops of 1, 2 and 3 of the first one, where momentum 0.9 gives 1, 2.9 and 5.61.
  const drop = torch[0]! - torch[1]!;
  const withMomentum = [0, 1, 2.9, 5.61].map((times) => torch[0]! - (times * drop) / 4);
  assert.match(
    findDifference(
      'training',
      [0, 1, 2, 3].map((times) => torch[0]! - (times * drop) / 4),
      withMomentum,
    )!,
    /the changes of the losses during training/,
  );
  assert.match(differ([torch[0]!, Number.NaN, 8, 7])!, /NaN/);
});

test.run();
