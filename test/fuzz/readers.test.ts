/** A short run of the fuzzers on fixed inputs; `npm run fuzz` continues from here. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describe, endFuzzing, findings, fuzz } from './fuzz.ts';
import { READERS } from './readers.ts';

const SEED = 1;
const INPUTS = 120;

for (const reader of READERS)
  test(`${reader.name}: damaged files give values or typed errors, without a crash, a hang or a gibibyte`, async () => {
    const figures = await fuzz(reader, SEED, 0, INPUTS);
    console.log(`figures: ${describe(figures)}`);
    assert.equal(findings(figures), []);
    assert.is(figures.inputs, INPUTS);
    if (reader.isLenient !== true)
      assert.ok(figures.refused > 0, 'no input was refused: the mutations reach nothing');
  });

test('the process that read them ends cleanly', endFuzzing);

test.run();
