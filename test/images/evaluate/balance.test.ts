/**
 * Figures for unbalanced classes, compared with scikit-learn's (fixtures/make-figures.py) and in cases computed by
 * hand.
 */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../../ts/base/errors.ts';
import { balanceFacts } from '../../../ts/images/evaluate/balance-text.ts';
import { type Outcome, outcomeOf } from '../../../ts/images/evaluate/outcome.ts';
import { binaryFigures } from '../../../ts/images/evaluate/roc.ts';
import { summariseOutcomes } from '../../../ts/images/evaluate/statistics.ts';

interface Case {
  readonly name: string;
  readonly labels: readonly number[];
  readonly scores: readonly (readonly number[])[];
  readonly balancedAccuracy: number;
  readonly precision: readonly number[];
  readonly recall: readonly number[];
  readonly f1: readonly number[];
  readonly classes: readonly {
    readonly auc: number;
    readonly interval: readonly [number, number] | null;
    readonly averagePrecision: number;
    readonly sensitivityAt: readonly number[];
  }[];
}
const fixture = new URL('../fixtures/figures.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, 'utf8')) as { readonly cases: readonly Case[] };

const close = (actual: number, expected: number, what: string) =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${what}: ${actual} is not ${expected}`);
const outcomesOf = (labels: readonly number[], scores: readonly (readonly number[])[]): Outcome[] =>
  labels.map((label, i) => ({ ...outcomeOf(scores[i]!, label), scores: scores[i]! }));

for (const { name, labels, scores, ...expected } of cases)
  test(`the figures equal scikit-learn's: ${name}`, () => {
    const specificities = [0.8, 0.9, 0.95, 1];
    const { balance } = summariseOutcomes(outcomesOf(labels, scores), { specificities });
    close(balance.balancedAccuracy, expected.balancedAccuracy, 'balanced accuracy');
    assert.is(balance.classes.length, expected.classes.length);
    for (const [i, own] of balance.classes.entries()) {
      const what = `class ${own.label}`;
      close(own.recall, expected.recall[i]!, `${what}, recall`);
      // scikit-learn reports 0 for a class that was never predicted; here it is null.
      close(own.precision ?? 0, expected.precision[i]!, `${what}, precision`);
      close(own.f1, expected.f1[i]!, `${what}, F1`);
      const { auc, interval, averagePrecision, sensitivityAt } = expected.classes[i]!;
      close(own.scores!.auc, auc, `${what}, AUC`);
      close(own.scores!.averagePrecision, averagePrecision, `${what}, average precision`);
      for (const [j, at] of own.scores!.sensitivityAt.entries())
        close(at.sensitivity, sensitivityAt[j]!, `${what}, sensitivity at ${at.specificity}`);
      assert.is(own.scores!.interval === null, interval === null, `${what}, interval`);
      for (const end of [0, 1]) {
        if (interval !== null) close(own.scores!.interval![end]!, interval[end]!, `${what}, interval`);
      }
    }
  });

test('ties count half, computed by hand', () => {
  // Of 2 × 3 pairs, 0.8 is above all three, and 0.5 above one and equal to one: (3 + 1.5) / 6.
  const { auc, averagePrecision, curve, sensitivityAt } = binaryFigures([0.8, 0.5], [0.5, 0.6, 0.1]);
  close(auc, 4.5 / 6, 'AUC');
  // 0.8: recall 1/2, precision 1; 0.5, with two negatives: recall 1, precision 2/4.
  close(averagePrecision, 0.5 * 1 + 0.5 * 0.5, 'average precision');
  assert.equal(
    curve.map(({ truePositiveRate, falsePositiveRate }) => [truePositiveRate, falsePositiveRate]),
    [
      [0.5, 0],
      [0.5, 1 / 3],
      [1, 2 / 3],
      [1, 1],
    ],
  );
  assert.equal(sensitivityAt, [
    { specificity: 0.9, sensitivity: 0.5, threshold: 0.8 },
    { specificity: 0.95, sensitivity: 0.5, threshold: 0.8 },
  ]);
});

test('equal scores carry no information: AUC 1/2, average precision the share of positives', () => {
  const { auc, averagePrecision, interval, sensitivityAt } = binaryFigures([0.5], [0.5, 0.5, 0.5]);
  assert.equal([auc, averagePrecision, interval], [0.5, 0.25, null]);
  assert.equal(sensitivityAt[0], { specificity: 0.9, sensitivity: 0, threshold: null });
});

test('a specificity that the negatives just reach is reached: 0.9 of ten allows one error, whatever 1 − 0.9 is in floating point', () => {
  const negatives = [0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1];
  assert.is(binaryFigures([0.8], negatives).sensitivityAt[0]!.sensitivity, 1);
});

test('without a positive or a negative there is no curve, and scores must be finite', () => {
  assert.throws(
    () => binaryFigures([], [1]),
    (error: Error) => error instanceof ArgumentError,
  );
  assert.throws(() => binaryFigures([1], []), /at least one score/);
  assert.throws(() => binaryFigures([Number.NaN], [1]), /positives\[0\]/);
  assert.throws(() => summariseOutcomes(outcomesOf([0], [[1, 0]]), { specificities: [90] }), /from 0 to 1/);
});

test('if there is only one class, or no scores were kept, there are counts and no curves', () => {
  const alone = summariseOutcomes(
    outcomesOf(
      [0, 0],
      [
        [0.9, 0.1],
        [0.2, 0.8],
      ],
    ),
  ).balance;
  assert.equal([alone.auc, alone.classes[0]!.scores, alone.balancedAccuracy], [null, null, 0.5]);
  const { balance } = summariseOutcomes([outcomeOf([0.9, 0.1], 0), outcomeOf([0.2, 0.8], 1)]);
  assert.equal([balance.auc, balance.averagePrecision, balance.balancedAccuracy], [null, null, 1]);
});

test('if none of six positives in forty is found, the report does not start with "85.0% right"', () => {
  const labels = Array.from({ length: 40 }, (_, i) => (i < 6 ? 1 : 0));
  const summary = summariseOutcomes(
    outcomesOf(
      labels,
      labels.map((label) => [0.8 - 0.1 * label, 0.2 + 0.1 * label]),
    ),
  );
  const facts = balanceFacts(summary, (label) => ['healthy', 'ill'][label]!);
  assert.equal(facts[0], ['balanced accuracy', '50.0% over 2 classes (guessing: 50.0%)']);
  assert.is(facts[1]![0], 'recall of "ill", the rarest class');
  assert.match(facts[1]![1], /^0 of 6: 0\.0% .*, precision none: no image was classified as it$/);
  assert.match(
    facts[2]![1],
    /^34 of 40: 85\.0% .*; always "healthy" is right for 85\.0%, no less than the net$/,
  );
  // Nevertheless the scores separate the classes: another threshold finds all.
  assert.match(facts[3]![1], /^1\.000 \(no interval/);
  assert.is(facts[5]![1], '100.0% at 90.0% specificity, 100.0% at 95.0%');
});

test('of equally large classes, the first is both the majority and the rarest', () => {
  const { balance } = summariseOutcomes(
    outcomesOf(
      [2, 1],
      [
        [0, 1, 0],
        [0, 1, 0],
      ],
    ),
  );
  assert.equal([balance.majority, balance.rarest], [{ label: 1, share: 0.5 }, 1]);
});

test.run();
