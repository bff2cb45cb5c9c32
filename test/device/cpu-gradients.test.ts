/** Training operations of the CPU device against the reference loops, and which implementations compute them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { againstReference } from '../support/against-reference.ts';
import { cpuLibrary } from '../support/cpu-library.ts';
import { openNative, type ProgramResult, runProgram } from '../support/run-program.ts';
import { convolutionStep, trainingOperations } from '../support/training-operations.ts';

const cpu = openNative('cpu', cpuLibrary);
const direct = openNative('cpu', { winograd: false, ...cpuLibrary });
test.after(() => [cpu, direct].forEach((device) => device.dispose()));

/** For cases whose names start like this: what is known about their implementations. */
const implementations: Record<string, (all: ProgramResult['implementations'], name: string) => void> = {
  // A bias's diff alone is a sum over dy. oneDNN would need x and compute the weights' diffs, too.
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
    // The transforms of F(4×4, 3×3) have factors of up to 8, which amplify rounding errors.
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
