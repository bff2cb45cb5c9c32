/**
 * Optimisations change no result: random nets, fused, on every variant of the CPU, against the reference layer by
 * layer. `npm run fuzz -- --nets` continues from here.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openDevice } from '../../ts/index.ts';
import { type Comparison, compareNets, describeFigures } from './random-nets.ts';
import { allComparisons, bfloat16Comparisons, openVariants, QUIET } from './sides.ts';

const SEED = Number(process.env.RESNODE_FUZZ_SEED ?? 1);
const NETS = Number(process.env.RESNODE_FUZZ_NETS ?? 200);

const reference = await openDevice('reference', QUIET);
const { variants, absent } = await openVariants();
for (const why of absent) console.log(`skipped: ${why}`);
test.after(() => [reference, ...variants.values()].forEach((device) => device.dispose()));

async function holds(comparison: Comparison, nets: number, kind: string): Promise<void> {
  const figures = await compareNets(comparison, SEED, 0, nets);
  console.log(`figures: ${kind}: ${describeFigures(figures)}`);
  assert.is(figures.differences.join('\n\n'), '');
  assert.ok(figures.kinks < nets / 5, 'kinks explain too much');
}

const comparisons = allComparisons(reference, variants);
const names = ['the reference', ...variants.keys()].join(', ');
test(`${NETS} random nets, rewritten by all passes, give the reference's results layer by layer: on ${names}`, () =>
  holds(comparisons.forward, NETS, 'forward'));

test(`the diffs of ${NETS / 2} random nets are the same fused, recomputed, and on the CPU`, () =>
  holds(comparisons.training, NETS / 2, 'training'));

const narrow = bfloat16Comparisons(reference, variants);
if (narrow === null) console.log('skipped: bfloat16, for which this processor has no tiles');
else {
  test(`${NETS / 2} random nets in bfloat16 give float32's results within rounding`, () =>
    holds(narrow.rounded, NETS / 2, 'bfloat16'));
  test(`${NETS / 2} random nets in bfloat16 give the same numbers on all instruction sets`, () =>
    holds(narrow.same, NETS / 2, 'bfloat16 on all instruction sets'));
}

test.run();
