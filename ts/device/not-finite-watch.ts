/**
 * Watches outputs for non-finite values. It warns once per output and searches once for the first layer that has such
 * values.
 */

import { describeNotFinite, notFinite } from '../base/not-finite.ts';
import { warn } from '../base/warn.ts';
import { yielding } from '../base/yielding.ts';
import type { Compiled } from '../compile/compile.ts';
import type { Graph } from '../graph/graph.ts';
import { copiedInputs, type Inputs, type Tensor } from './tensor.ts';

/** A model that runs once. */
interface Searched extends AsyncDisposable {
  run(inputs: Inputs): Promise<Readonly<Record<string, Tensor>>>;
}

/** Loads the same net and weights with the given outputs and nothing fused. */
type Load = (outputs: readonly string[]) => Promise<Searched>;

export class NotFiniteWatch {
  readonly #written: Graph;
  readonly #load: Load;
  readonly #saidOf = new Set<string>();
  #search: Promise<void> | null = null;

  /** @param written The graph before any passes. */
  constructor(written: Graph, load: Load) {
    this.#written = written;
    this.#load = load;
  }

  /** The search for the first layer, which begins with the first non-finite output. */
  get search(): Promise<void> | null {
    return this.#search;
  }

  // Warns once per output; otherwise a stream of images would cause a warning for each.
  look({ graph, names }: Compiled, outputs: readonly (Float32Array | null)[], inputs: Inputs): void {
    for (const [i, name] of names.entries()) {
      const data = outputs[i]!;
      const found = data === null || this.#saidOf.has(name) ? null : notFinite(data);
      if (found === null) continue;
      this.#saidOf.add(name);
      const { layer } = graph.values[graph.outputs[i]!]!;
      warn(
        'output/not-finite',
        `output "${name}" of "${graph.name}", made by layer "${layer}": ${describeNotFinite(found)}`,
      );
      this.#search ??= sayFirstNotFinite(this.#written, inputs, this.#load);
    }
  }
}

// Copies the arrays, because their owner may modify them as soon as the run has returned.
async function sayFirstNotFinite(graph: Graph, inputs: Inputs, load: Load): Promise<void> {
  const kept = copiedInputs(inputs);
  try {
    const first = await firstNotFinite(graph, kept, load);
    if (first !== null) warn('output/first-not-finite', `"${graph.name}": ${first}`);
  } catch {
    // The search needs memory in addition to the model's, and its device may be gone. The first warning is printed in any
    // case.
  }
}

/**
 * The first blob with a non-finite value, found by one run in which every layer's blobs are outputs.
 * @param graph The graph before any passes, in the order of computation.
 * @param load Loads the same net and weights with the given outputs and nothing fused.
 * @returns A sentence that names the input or the layer; null if all values are finite in this run.
 */
async function firstNotFinite(graph: Graph, inputs: Inputs, load: Load): Promise<string | null> {
  for (const [name, input] of Object.entries(inputs)) {
    const data = input instanceof Float32Array ? input : (input as { data?: unknown }).data;
    const found = data instanceof Float32Array ? notFinite(data) : null;
    if (found !== null) return `the input "${name}" already is not finite: ${describeNotFinite(found)}`;
  }
  const made = graph.nodes.flatMap(({ outputs }) => outputs.map((id) => graph.values[id]!));
  const names = [...new Set(made.map(({ blob, layer }) => `${blob}@${layer}`))];
  await using model = await load(names);
  const outputs = await model.run(inputs);
  const yieldIfDue = yielding();
  for (const { blob, layer } of made) {
    const found = notFinite(outputs[`${blob}@${layer}`]!.data);
    if (found !== null)
      return `the first layer whose output is not finite is "${layer}" (blob "${blob}": ${describeNotFinite(found)}); check its weights and its input`;
    await yieldIfDue();
  }
  return null;
}
