/**
 * How long processes that train together wait for each other: the cost of collective operations as Thakur, Rabenseifner and Gropp,
 * "Optimization of Collective Communication Operations in MPICH", Int. J. High Performance Computing Applications 19(1), 2005, sections
 * 2 and 4, write it down: a message of n bytes takes α + n·β, adding it n·γ. Nothing is measured here.
 */

/** What messages go by. */
export interface Link {
  /** α, seconds. */
  readonly latency: number;
  /** 1/β, of a process in one direction. */
  readonly bytesPerSecond: number;
  /** 1/γ: how fast a process adds what arrives. */
  readonly addedPerSecond: number;
}

/** Seconds of an all-reduce of so many bytes among so many processes. */
export type AllReduce = (bytes: number, processes: number, link: Link) => number;

const costs = ({ latency, bytesPerSecond, addedPerSecond }: Link) => [
  latency,
  1 / bytesPerSecond,
  1 / addedPerSecond,
];

/** Reduce-scatter and allgather around a ring: 2(p − 1)α + 2·(p − 1)/p·nβ + (p − 1)/p·nγ. */
export const ring: AllReduce = (bytes, processes, link) => {
  const [alpha, beta, gamma] = costs(link) as [number, number, number];
  const share = ((processes - 1) / processes) * bytes;
  return 2 * (processes - 1) * alpha + 2 * share * beta + share * gamma;
};

/** Rabenseifner's, by halving and doubling: 2·lg p·α + 2·(p − 1)/p·nβ + (p − 1)/p·nγ; p a power of two. */
export const halving: AllReduce = (bytes, processes, link) => {
  const [alpha, beta, gamma] = costs(link) as [number, number, number];
  const share = ((processes - 1) / processes) * bytes;
  return 2 * Math.log2(processes) * alpha + 2 * share * beta + share * gamma;
};

/** To the first by a binomial tree and back: lg p·(α + nβ + nγ) + lg p·(α + nβ). */
export const tree: AllReduce = (bytes, processes, link) => {
  const [alpha, beta, gamma] = costs(link) as [number, number, number];
  return Math.ceil(Math.log2(processes)) * (2 * alpha + 2 * bytes * beta + bytes * gamma);
};

/**
 * Machines of several processes: a reduce-scatter within each, a ring among the machines of every process's part, by
 * the link of its own, and an allgather within each.
 */
export function twoLevels(perMachine: number, within: Link): AllReduce {
  return (bytes, processes, between) => {
    const machines = processes / perMachine;
    const inside = perMachine === 1 ? 0 : ring(bytes, perMachine, within);
    return inside + (machines === 1 ? 0 : ring(bytes / perMachine, machines, between));
  };
}

/** A layer's gradients, in the order of the forward pass. */
export interface LayerGradients {
  readonly bytes: number;
  /** Of the backward pass's time. */
  readonly share: number;
}

/** When an iteration is over, and how much of it is waiting. */
export interface Iteration {
  readonly seconds: number;
  readonly waiting: number;
}

/**
 * One iteration. Gradients are there layer by layer, from the last one back; they go in buckets of at least so many bytes, one
 * after the other, each as soon as the last of its layers is done and the bucket before has gone (Li et al., "PyTorch
 * Distributed", VLDB 2020, section 3.2.3).
 * @param bucket Infinity: all together, behind the backward pass.
 */
export function iterate(
  layers: readonly LayerGradients[],
  step: { readonly seconds: number; readonly backward: number },
  bucket: number,
  seconds: (bytes: number) => number,
): Iteration {
  const begin = step.seconds * (1 - step.backward);
  let [ready, gone, held] = [begin, begin, 0];
  for (const { bytes, share } of layers.toReversed()) {
    ready += share * step.seconds * step.backward;
    held += bytes;
    if (held < bucket) continue;
    gone = Math.max(gone, ready) + seconds(held);
    held = 0;
  }
  if (held > 0) gone = Math.max(gone, ready) + seconds(held);
  const end = Math.max(gone, step.seconds);
  return { seconds: end, waiting: end - step.seconds };
}
