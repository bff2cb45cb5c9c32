/**
 * The nodes of the CUDA graph that a run replays, as the emulated runtime captures it: at batch 1 each node costs
 * microseconds, however little it computes. Kernels are recorded but do not run, so that whole nets are quick.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { elementCount } from '../../ts/base/shape.ts';
import { graphFromCaffe, resnet } from '../../ts/index.ts';
import { openEmulated } from '../support/emulated.ts';
import { capturedNodes, traced } from '../support/emulated-trace.ts';
import { randomWeights } from '../support/random-weights.ts';

process.removeAllListeners('warning'); // Outputs that no kernel wrote are not finite.
const device = await openEmulated();

/** Nodes by kind. The head's are the pooling, and the inner product with the softmax. */
const EXPECTED = {
  18: { convolution: 20, 'max pooling': 1, 'classifier head': 2 },
  // The convolutions that add a shortcut between stages take every second pixel of it themselves.
  50: { convolution: 53, 'max pooling': 1, 'classifier head': 2 },
};

function kindOf(implementation: string): string {
  if (/^(mma|simt|direct)/.test(implementation)) return 'convolution';
  return implementation.startsWith('classifier head') ? 'classifier head' : implementation;
}

if (device !== null) {
  for (const depth of [18, 50] as const)
    test(`ResNet-${depth} in float16 at batch 1 is one kernel per convolution and pooling, and two for the head`, async () => {
      process.env.RESNODE_EMULATED_KERNELS = 'skipped';
      try {
        const net = resnet({ depth });
        const weights = randomWeights(graphFromCaffe(net));
        using model = await device.load({ model: net, weights, precision: 'float16' });
        const run = () => model.run({ data: new Float32Array(elementCount(model.inputs.data!)) });
        await run(); // launched step by step
        const nodes = await capturedNodes(run);
        const sum = Object.values(EXPECTED[depth]).reduce((all, count) => all + count);
        assert.equal(nodes, Array(sum).fill('kernel'));
        const kinds = model.plan().operations.map(({ implementation }) => kindOf(implementation));
        for (const [kind, count] of Object.entries(EXPECTED[depth]))
          assert.is(
            kinds.filter((each) => each === kind).length,
            kind === 'classifier head' ? 1 : count,
            kind,
          );
        assert.equal(
          (await traced(run)).filter((what) => what !== 'event'),
          ['copy', 'kernel', 'graph', 'copy'],
          'a run is the upload, the conversion of its input, the graph, and the download',
        );
      } finally {
        delete process.env.RESNODE_EMULATED_KERNELS;
      }
    });

  test.after(() => device.dispose());
}

test.run();
