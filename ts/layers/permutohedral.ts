/**
 * Gaussian filters of many dimensions on the permutohedral lattice (Adams, Baek and Davis, "Fast High-Dimensional
 * Filtering Using the Permutohedral Lattice", 2010), with the constants of CRF-RNN's code (modified_permutohedral.cpp
 * of github.com/torrvision/caffe).
 */

/** A filter among points that stay where they are. */
export interface GaussianFilter {
  /**
   * Filters `channels` values of each point, channel by channel.
   * @param transposed The derivative's filter, which passes along the axes in reverse.
   */
  readonly apply: (values: Float32Array, channels: number, transposed?: boolean) => Float32Array;
}

/**
 * @param features `dimensions` coordinates of each point, in standard deviations.
 * @example const blur = gaussianFilter(Float32Array.of(0, 1, 2), 1).apply(Float32Array.of(1, 0, 0), 1);
 */
export function gaussianFilter(features: Float32Array, dimensions: number): GaussianFilter {
  const points = features.length / dimensions;
  const corners = dimensions + 1;
  const vertices = new VertexTable(dimensions, points);
  const vertexOf = new Int32Array(points * corners);
  const weightOf = new Float32Array(points * corners);
  const place = simplexFinder(dimensions);
  const key = new Int32Array(dimensions);
  for (let point = 0; point < points; point++) {
    const { base, rank, weights } = place(features, point * dimensions);
    for (let corner = 0; corner < corners; corner++) {
      // The canonical simplex: p. 4 of the paper.
      for (let i = 0; i < dimensions; i++)
        key[i] = base[i]! + (rank[i]! <= dimensions - corner ? corner : corner - corners);
      vertexOf[point * corners + corner] = vertices.find(key, true);
      weightOf[point * corners + corner] = weights[corner]!;
    }
  }
  const neighbours = vertices.neighbours();
  const count = vertices.size;
  const alpha = 1 / (1 + 2 ** -dimensions);
  return {
    apply(values, channels, transposed = false) {
      // One more vertex at the end stands for all that are not there.
      let now = new Float32Array((count + 1) * channels);
      let next = new Float32Array((count + 1) * channels);
      for (let at = 0; at < vertexOf.length; at++) {
        const [to, weight, point] = [vertexOf[at]! * channels, weightOf[at]!, Math.floor(at / corners)];
        for (let c = 0; c < channels; c++) now[to + c]! += weight * values[c * points + point]!;
      }
      for (let pass = 0; pass < corners; pass++) {
        const axis = transposed ? dimensions - pass : pass;
        for (let vertex = 0; vertex < count; vertex++) {
          const [before, after] = [
            neighbours[2 * (axis * count + vertex)]! * channels,
            neighbours[2 * (axis * count + vertex) + 1]! * channels,
          ];
          const own = vertex * channels;
          for (let c = 0; c < channels; c++)
            next[own + c] = now[own + c]! + 0.5 * (now[before + c]! + now[after + c]!);
        }
        [now, next] = [next, now];
      }
      const made = new Float32Array(values.length);
      for (let at = 0; at < vertexOf.length; at++) {
        const [from, weight, point] = [
          vertexOf[at]! * channels,
          alpha * weightOf[at]!,
          Math.floor(at / corners),
        ];
        for (let c = 0; c < channels; c++) made[c * points + point]! += weight * now[from + c]!;
      }
      return made;
    },
  };
}

/**
 * Where a point lies: the lattice point of remainder 0 of its simplex, the order of its coordinates, its barycentric
 * coordinates.
 */
interface Simplex {
  readonly base: Int32Array;
  readonly rank: Int32Array;
  readonly weights: Float64Array;
}

/** Finds a point's simplex; what it returns is overwritten by the next call. */
function simplexFinder(dimensions: number): (features: Float32Array, at: number) => Simplex {
  const corners = dimensions + 1;
  const scales = Array.from(
    { length: dimensions },
    (_, i) => (Math.sqrt(2 / 3) * corners) / Math.sqrt((i + 1) * (i + 2)),
  );
  const elevated = new Float32Array(corners);
  const base = new Int32Array(corners);
  const rank = new Int32Array(corners);
  const weights = new Float64Array(corners + 1);
  return (features, at) => {
    // y = E·p: p. 5.
    let sum = 0;
    for (let j = dimensions; j > 0; j--) {
      const scaled = Math.fround(features[at + j - 1]! * Math.fround(scales[j - 1]!));
      elevated[j] = sum - j * scaled;
      sum = Math.fround(sum + scaled);
    }
    elevated[0] = sum;
    let off = 0;
    for (let i = 0; i < corners; i++) {
      const whole = Math.round(elevated[i]! / corners);
      base[i] = whole * corners;
      off += whole;
    }
    rank.fill(0);
    for (let i = 0; i < dimensions; i++)
      for (let j = i + 1; j < corners; j++)
        if (elevated[i]! - base[i]! < elevated[j]! - base[j]!) rank[i]!++;
        else rank[j]!++;
    // A lattice point has coordinates that sum to 0.
    for (let i = 0; i < corners; i++) {
      rank[i]! += off;
      const turn = rank[i]! < 0 ? corners : rank[i]! > dimensions ? -corners : 0;
      rank[i]! += turn;
      base[i]! += turn;
    }
    // p. 10.
    weights.fill(0);
    for (let i = 0; i < corners; i++) {
      const part = (elevated[i]! - base[i]!) / corners;
      weights[dimensions - rank[i]!]! += part;
      weights[corners - rank[i]!]! -= part;
    }
    weights[0]! += 1 + weights[corners]!;
    return { base, rank, weights };
  };
}

/** The lattice points near the points, numbered in the order in which they are found. */
class VertexTable {
  size = 0;
  readonly #dimensions: number;
  #keys: Int32Array;
  #slots: Int32Array;

  constructor(dimensions: number, points: number) {
    this.#dimensions = dimensions;
    this.#keys = new Int32Array(Math.max(16, points) * dimensions);
    this.#slots = new Int32Array(4 * Math.max(16, points)).fill(-1);
  }

  /** The number of the lattice point with these coordinates (the last is minus the others' sum); −1: there is none. */
  find(key: Int32Array, create: boolean): number {
    const dimensions = this.#dimensions;
    let hash = 0;
    for (let i = 0; i < dimensions; i++) hash = Math.imul(hash + key[i]!, 1664525);
    for (let slot = (hash >>> 0) % this.#slots.length; ; slot = (slot + 1) % this.#slots.length) {
      const found = this.#slots[slot]!;
      if (found < 0) {
        if (!create) return -1;
        this.#slots[slot] = this.size;
        this.#keys.set(key, this.size * dimensions);
        this.size++;
        if (2 * this.size > this.#slots.length || (this.size + 1) * dimensions > this.#keys.length)
          this.#grow();
        return this.size - 1;
      }
      let isSame = true;
      for (let i = 0; i < dimensions && isSame; i++) isSame = this.#keys[found * dimensions + i] === key[i];
      if (isSame) return found;
    }
  }

  #grow(): void {
    const dimensions = this.#dimensions;
    const keys = new Int32Array(2 * this.#keys.length);
    keys.set(this.#keys);
    this.#keys = keys;
    const count = this.size;
    this.#slots = new Int32Array(2 * this.#slots.length).fill(-1);
    for (let vertex = 0; vertex < count; vertex++) {
      let hash = 0;
      for (let i = 0; i < dimensions; i++) hash = Math.imul(hash + keys[vertex * dimensions + i]!, 1664525);
      let slot = (hash >>> 0) % this.#slots.length;
      while (this.#slots[slot]! >= 0) slot = (slot + 1) % this.#slots.length;
      this.#slots[slot] = vertex;
    }
  }

  /** The two neighbours of each vertex along each of the axes; the number of vertices: there is none. */
  neighbours(): Int32Array {
    const dimensions = this.#dimensions;
    const made = new Int32Array(2 * (dimensions + 1) * this.size);
    const key = new Int32Array(dimensions);
    for (let axis = 0; axis <= dimensions; axis++)
      for (let vertex = 0; vertex < this.size; vertex++)
        for (const [side, step] of [-1, 1].entries()) {
          for (let i = 0; i < dimensions; i++)
            key[i] = this.#keys[vertex * dimensions + i]! + (i === axis ? -step * dimensions : step);
          const found = this.find(key, false);
          made[2 * (axis * this.size + vertex) + side] = found < 0 ? this.size : found;
        }
    return made;
  }
}
