/** An order of labelled samples in which every class comes equally often. */
import { mix, shuffled } from '../base/random.ts';

/**
 * As many places as there are labels. They come in rounds: in each round every class has one place, in random order, and a
 * class takes its samples in random order, all of them before any comes again.
 * @param seed The same seed and labels give the same order.
 */
export async function balancedOrder(labels: readonly number[], seed: number): Promise<Uint32Array> {
  const members = new Map<number, number[]>();
  labels.forEach((label, i) => {
    const known = members.get(label);
    if (known === undefined) members.set(label, [i]);
    else known.push(i);
  });
  const classes = [...members.values()];
  const order = new Uint32Array(labels.length);
  // Of each class: the pass through its samples that is under way, and how far it is.
  const passes = classes.map(() => ({ count: 0, at: 0, order: new Uint32Array(0) as Uint32Array }));
  for (let place = 0, round = 0; place < order.length; round++)
    for (const each of await shuffled(classes.length, mix(seed, 0, round))) {
      if (place === order.length) break;
      const pass = passes[each]!;
      if (pass.at === pass.order.length) {
        pass.order = await shuffled(classes[each]!.length, mix(seed, 1 + each, pass.count++));
        pass.at = 0;
      }
      order[place++] = classes[each]![pass.order[pass.at++]!]!;
    }
  return order;
}
