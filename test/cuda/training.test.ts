/** Training operations of the CUDA device, on the emulated runtime, against the reference loops. */
import { dirname } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { againstReference } from '../support/against-reference.ts';
import { emulatedBuild } from '../support/emulated.ts';
import { openNative, ProgramWriter, runProgram } from '../support/run-program.ts';
import { convolutionStep, trainingOperations } from '../support/training-operations.ts';

const library = process.env.RESNODE_TEST_CUDA === 'hardware' ? undefined : emulatedBuild('resnode_cuda');
if (library !== null) {
  const cuda = openNative('cuda', library === undefined ? {} : { libraryFolder: dirname(library) });
  test.after(() => cuda.dispose());

  for (const operation of trainingOperations)
    test(operation.name, async () => {
      await againstReference(cuda, operation);
    });

  test('a sum reads the ReLU as bits, and the sum that adds a projection applies its BatchNorm', async () => {
    const { write } = trainingOperations.find(({ name }) =>
      /^2 sums of batchNorms .* of 2 whole/.test(name),
    )!;
    const { implementations } = await runProgram(cuda, ...write());
    assert.ok(implementations.includes("sum by signs, with BatchNorm's"));
    assert.is(implementations.filter((each) => each.includes('applied by what adds it')).length, 1);
  });

  test('the mean over all processes is the same with a single one', async () => {
    const writer = new ProgramWriter();
    const [first, second] = [writer.input([3]), writer.input([2, 5])];
    const means = [writer.tensor(3), writer.tensor(2, 5)];
    writer.operation([first, second], means, { kind: 'allMean' });
    const { outputs } = await runProgram(cuda, writer, means);
    assert.equal(outputs[0], writer.inputValues);
  });

  test('the same step twice gives the same bits', async () => {
    const [first, second] = [
      await runProgram(cuda, ...convolutionStep(), { runs: 2 }),
      await runProgram(cuda, ...convolutionStep()),
    ];
    assert.equal(first.outputs[0], first.outputs[1]);
    assert.equal(first.outputs[0], second.outputs[0]);
  });
}

test.run();
