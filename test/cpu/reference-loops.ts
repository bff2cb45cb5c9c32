/**
 * The reference loops of RESNODE_TEST_REFERENCE's library, which are those of the addon built another way
 * (sanitized.test.ts): forward and backward, they compute what the addon's do. The CPU device runs the loops of most kinds,
 * but never those of these.
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
