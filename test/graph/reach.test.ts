/** What positions read through nested windows, against a check of every tap; and that large kernels take no longer. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { ITSELF, type Reach, throughTransposed, throughWindow } from '../../ts/graph/reach.ts';

interface Form {
  readonly isTransposed: boolean;
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
  readonly dilation: number;
}

/** The input positions of p, by the definition of a convolution and its transpose. */
function seenBy(forms: readonly Form[], p: number): number[] {
  const form = forms.at(-1);
  if (form === undefined) return [p];
  const { isTransposed, kernel, stride, pad, dilation } = form;
  const below = Array.from({ length: kernel }, (_, tap) =>
    isTransposed ? (p + pad - tap * dilation) / stride : p * stride - pad + tap * dilation,
  );
  return below.filter(Number.isInteger).flatMap((j) => seenBy(forms.slice(0, -1), j));
}

const through = (reach: Reach, { isTransposed, ...window }: Form): Reach =>
  isTransposed ? throughTransposed(reach, window) : throughWindow(reach, window);

test('three nested windows, transposed or not, read what a search of every tap finds', () => {
  const next = seededRandom(20);
  const upTo = (most: number) => 1 + Math.floor(next() * most);
  for (let round = 0; round < 300; round++) {
    const forms = Array.from({ length: 3 }, () => ({
      isTransposed: next() < 0.5,
      kernel: upTo(6),
      stride: upTo(4),
      pad: upTo(3) - 1,
      dilation: upTo(4),
    }));
    const reach = forms.reduce(through, ITSELF);
    for (let p = 0; p < 14; p++) {
      const seen = seenBy(forms, p);
      const what = `${JSON.stringify(forms)} at ${p}`;
      assert.is(reach.first(p), Math.min(...seen), `${what}: first`);
      assert.is(reach.last(p), Math.max(...seen), `${what}: last`);
    }
  }
});

test('the largest kernels and dilations that Caffe allows take no longer', () => {
  const large = 2 ** 31 - 1;
  const before = through(ITSELF, { isTransposed: true, kernel: large, stride: 2, pad: 1, dilation: 1 });
  assert.equal([before.first(0), before.last(0)], [-(2 ** 30 - 2), 0]);
  const after = throughWindow(before, { kernel: large, stride: 1, pad: 0, dilation: 1 });
  assert.equal([after.first(0), after.last(0)], [-(2 ** 30 - 2), 2 ** 30 - 1]);
  const sparse = throughTransposed(before, { kernel: 2, stride: 3, pad: 0, dilation: large });
  assert.equal([sparse.first(large), sparse.first(3)], [before.first(0), before.first(1)]);
});

test.run();
