/** DummyData (dummy_data_layer.cpp): fillers draw anew for each batch, so that constants alone stay what they are. */
import { fill, seededRandom } from '../caffe/fillers.ts';
import { mix } from './random.ts';
import type { Reader, ReaderSpec } from './reader.ts';

export function dummyReader({ tops }: Extract<ReaderSpec, { kind: 'dummy' }>): Reader {
  return {
    describe: async () => ({
      shapes: Object.fromEntries(tops.map(({ name, shape }) => [name, shape])),
    }),
    // A whole batch is one sample: fillers look at the whole shape.
    read: async ([sample], _shapes, output) => {
      for (const [i, { name, shape, filler }] of tops.entries())
        output[name]!.set(fill(filler, shape, seededRandom(mix(sample!.seed, i))));
    },
    close: () => {},
  };
}
