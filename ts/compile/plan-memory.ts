/** Lifetimes → offsets in one arena. Pure: the same input gives the same plan. */

export interface BufferLifetime {
  readonly bytes: number;
  /** First and last operation that need it, both included. */
  readonly from: number;
  readonly to: number;
}

export interface MemoryPlan {
  readonly offsets: Float64Array;
  /** The arena's size. */
  readonly bytes: number;
  /** What separate buffers would take. */
  readonly separate: number;
  /** The most that is alive at once: no plan can be smaller. */
  readonly bound: number;
}

/**
 * Places buffers greedily by size (Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net Inference",
 * 2020, section 5.2): each takes the lowest gap among those alive at the same time.
 * @param alignment Bytes; default 64, a cache line and an AVX-512 register.
 */
export function planMemory(buffers: readonly BufferLifetime[], { alignment = 64 } = {}): MemoryPlan {
  const round = (bytes: number) => Math.ceil(bytes / alignment) * alignment;
  const offsets = new Float64Array(buffers.length);
  const order = buffers.map((_, i) => i).sort((a, b) => buffers[b]!.bytes - buffers[a]!.bytes || a - b);
  const placed: number[] = []; // in the order of their offsets
  let bytes = 0;
  for (const i of order) {
    const { from, to, bytes: size } = buffers[i]!;
    let offset = 0;
    for (const j of placed) {
      if (buffers[j]!.from > to || buffers[j]!.to < from) continue;
      if (offset + round(size) <= offsets[j]!) break;
      offset = Math.max(offset, offsets[j]! + round(buffers[j]!.bytes));
    }
    offsets[i] = offset;
    bytes = Math.max(bytes, offset + round(size));
    const after = placed.findIndex((j) => offsets[j]! > offset);
    placed.splice(after < 0 ? placed.length : after, 0, i);
  }
  const last = buffers.reduce((latest, { to }) => Math.max(latest, to), -1);
  const alive = new Float64Array(last + 2);
  for (const { from, to, bytes: size } of buffers) {
    alive[from]! += round(size);
    alive[to + 1]! -= round(size);
  }
  let bound = 0;
  alive.reduce((sum, change) => {
    bound = Math.max(bound, sum + change);
    return sum + change;
  }, 0);
  return { offsets, bytes, separate: buffers.reduce((sum, buffer) => sum + round(buffer.bytes), 0), bound };
}
