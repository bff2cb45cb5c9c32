/**
 * How long processes that train together wait for each other, by the cost model of collective operations in Thakur,
 * Rabenseifner and Gropp, "Optimization of Collective Communication Operations in MPICH", Int. J. High Performance
 * Computing Applications 19(1), 2005, sections 2 and 4: sending n bytes takes α + n·β, and adding them n·γ. Nothing is
 * measured here.
 */

/** A connection between processes. */
export interface Link {
  /** α, seconds. */
  readonly latency: number;
  /** 1/β, per process and direction. */
  readonly bytesPerSecond: number;
  /** 1/γ: how fast a process adds the bytes that arrive. */
  readonly addedPerSecond: number;
}

/** The seconds of an all-reduce of this many bytes among this many processes. */
export type AllReduce = (bytes: number, processes: number, link: Link) => number;

const costs = ({ latency, bytesPerSecond, addedPerSecond }: Link) => [
  latency,
  1 / bytesPerSecond,
  1 / addedPerSecond,
];

/** Reduce-scatter and allgather in a ring: 2(p − 1)α + 2·(p − 1)/p·nβ + (p − 1)/p·nγ. */
export const ring: AllReduce = (bytes, processes, link) => {
  const [alpha, beta, gamma] = costs(link) as [number, number, number];
  const share = ((processes - 1) / processes) * bytes;
  return 2 * (processes - 1) * alpha + 2 * share * beta + share * gamma;
};

/** Rabenseifner's, by halving and doubling: 2·lg p·α + 2·(p − 1)/p·nβ + (p − 1)/p·nγ; p is a power of two. */
export const halving: AllReduce = (bytes, processes, link) => {
  const [alpha, beta, gamma] = costs(link) as [number, number, number];
  const share = ((processes - 1) / processes) * bytes;
  return 2 * Math.log2(processes) * alpha + 2 * share * beta + share * gamma;
};

/** To the first process by a binomial tree and back: lg p·(α + nβ + nγ) + lg p·(α + nβ). */
export const tree: AllReduce = (bytes, processes, link) => {
  const [alpha, beta, gamma] = costs(link) as [number, number, number];
  return Math.ceil(Math.log2(processes)) * (2 * alpha + 2 * bytes * beta + bytes * gamma);
};

/**
 * For machines with several processes: a reduce-scatter within each machine, a ring among the machines for each
 * process's part over its own link, and an allgather within each machine.
 */
export function twoLevels(perMachine: number, within: Link): AllReduce {
  return (bytes, processes, between) => {
    const machines = processes / perMachine;
    const inside = perMachine === 1 ? 0 : ring(bytes, perMachine, within);
    return inside + (machines === 1 ? 0 : ring(bytes / perMachine, machines, between));
  };
}

/** The gradients of a layer, in the order of the forward pass. */
export interface LayerGradients {
  readonly bytes: number;
  /** Of the backward pass's time. */
  readonly share: number;
}

/** The duration of an iteration, and how much of it is waiting. */
export interface Iteration {
  readonly seconds: number;
  readonly waiting: number;
}

/**
 * One iteration. Gradients become ready layer by layer, from the last one back. They are sent in buckets of at least
 * this many bytes. Each bucket is sent as soon as its last layer is done and the previous bucket has been sent (Li et
 * al., "PyTorch Distributed", VLDB 2020, section 3.2.3).
 * @param bucket Infinity: all in one, after the backward pass.
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
