/** Training operations of the CPU device against the reference loops, and what computes them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { againstReference } from '../support/against-reference.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { openNative, type ProgramResult, runProgram } from '../support/run-program.ts';
import { convolutionStep, trainingOperations } from '../support/training-operations.ts';

const cpu = openNative('cpu', cpuLibrary);
const direct = openNative('cpu', { winograd: false, ...cpuLibrary });
test.after(() => [cpu, direct].forEach((device) => device.dispose()));

/** By how a case's name begins: what else is known of its implementations. */
const implementations: Record<string, (all: ProgramResult['implementations'], name: string) => void> = {
  // A bias's diff alone is a sum over dy, for which oneDNN would want x and weights' diffs too.
  'the gradient of convolution': (all, name) => {
    const isOwn = name.includes('"wanted":["db"]') ? /wino/ : /reference|wino/;
    assert.not.ok(
      all.some((each) => isOwn.test(each)),
      all.join(),
    );
  },
  'a reshape and its gradient': (all) =>
    assert.equal(
      all.map((each) => each === 'in place'),
      [false, true, true, true, true, false],
    ),
  '{"kind":': (all) => assert.not.ok(all.includes('reference')),
  PReLU: (all) => assert.not.ok(all.includes('reference')),
  'the shortcut without parameters': (all) => assert.not.ok(all.includes('reference')),
};

for (const operation of trainingOperations)
  test(operation.name, async () => {
    const result = await againstReference(direct, operation);
    const known = Object.keys(implementations).find((start) => operation.name.startsWith(start));
    if (known !== undefined) implementations[known]!(result.implementations, operation.name);
    // F(4×4, 3×3) has transforms with factors of up to 8, and roundings to match.
    if (operation.name.includes('convolution {'))
      await againstReference(cpu, {
        ...operation,
        name: `${operation.name}, Winograd allowed`,
        tolerance: 5e-6,
      });
  });

test('the same step twice gives the same bits', async () => {
  for (const device of [cpu, direct]) {
    const [first, second] = [
      await runProgram(device, ...convolutionStep(), { runs: 2 }),
      await runProgram(device, ...convolutionStep()),
    ];
    assert.equal(first.outputs[0], first.outputs[1]);
    assert.equal(first.outputs[0], second.outputs[0]);
  }
});

test.run();
