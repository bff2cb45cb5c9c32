/**
 * Compares the reference loops in the library RESNODE_TEST_REFERENCE, which are the addon's loops in another build
 * (sanitized.test.ts), with the addon's own, forward and backward. The CPU device runs the loops of most kinds, but
 * never those of the kinds listed here.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { againstReference } from '../support/against-reference.ts';
import { openNative } from '../support/run-program.ts';
import { trainingOperations } from '../support/training-operations.ts';

const device = openNative('cpu', { libraryFolder: process.env.RESNODE_TEST_REFERENCE! });
test.after(() => device.dispose());

const OWN_STEPS = /^the gradient of (convolution .*learned|an inner product|pooling)/;
for (const operation of trainingOperations.filter(({ name }) => OWN_STEPS.test(name)))
  test(operation.name, async () => {
    const { implementations } = await againstReference(device, operation);
    assert.equal(new Set(implementations), new Set(['reference']));
  });

test.run();
