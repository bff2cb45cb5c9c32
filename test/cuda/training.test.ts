/** Training operations of the CUDA device, on the emulated runtime, against the reference loops. */
import { dirname } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { againstReference } from '../support/against-reference.ts';
import { emulatedBuild } from '../support/emulated.ts';
import { openNative, ProgramWriter, runProgram } from '../support/run-program.ts';
import { convolutionStep, trainingOperations } from '../support/training-operations.ts';

const library = process.env.RESNODE_TEST_CUDA === 'hardware' ? undefined : emulatedBuild('resnode_cuda');
if (library === null) test('is skipped where CUDA is not', () => {});
else {
  const cuda = openNative('cuda', library === undefined ? {} : { libraryFolder: dirname(library) });
  test.after(() => cuda.dispose());

  for (const operation of trainingOperations)
    test(operation.name, async () => {
      await againstReference(cuda, operation);
    });

  test('several processes are refused by layer', async () => {
    const writer = new ProgramWriter();
    const [diff, mean] = [writer.input([3]), writer.tensor(3)];
    writer.operation([diff], [mean], { kind: 'allMean' });
    const options = { precision: 'float32', deterministic: false, tune: false, quantization: null } as const;
    const error = await cuda.prepare(writer.program([mean]), options).then(
      () => assert.unreachable('it was planned') as never,
      (reason: Error & { code: string }) => reason,
    );
    assert.is(error.code, 'device/unsupported');
    assert.match(error.message, /several processes/);
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
