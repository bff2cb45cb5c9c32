/** Orders labelled samples so that every class occurs equally often. */
import { mix, shuffled } from '../base/random.ts';

/**
 * Returns as many indices as there are labels, in rounds. Each round has one sample of every class, in random order, and a
 * class uses all of its samples, in random order, before any repeats.
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
  // The current pass through the samples of each class, and its position.
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
