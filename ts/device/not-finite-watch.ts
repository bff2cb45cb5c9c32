/** Outputs with values that are not finite: said once an output, and the first layer that has them looked for once. */

import { describeNotFinite, notFinite } from '../base/not-finite.ts';
import { warn } from '../base/warn.ts';
import { yielding } from '../base/yielding.ts';
import type { Compiled } from '../compile/compile.ts';
import type { Graph } from '../graph/graph.ts';
import { copiedInputs, type Inputs, type Tensor } from './tensor.ts';

/** A model that is run once. */
interface Searched extends AsyncDisposable {
  run(inputs: Inputs): Promise<Readonly<Record<string, Tensor>>>;
}

/** The same net and weights with these outputs, nothing fused. */
type Load = (outputs: readonly string[]) => Promise<Searched>;

export class NotFiniteWatch {
  readonly #written: Graph;
  readonly #load: Load;
  readonly #saidOf = new Set<string>();
  #search: Promise<void> | null = null;

  /** @param written The graph before passes changed it. */
  constructor(written: Graph, load: Load) {
    this.#written = written;
    this.#load = load;
  }

  /** The search for the first layer, which begins with the first such output. */
  get search(): Promise<void> | null {
    return this.#search;
  }

  // Once an output: a stream of images would say it for each.
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

// What the arrays hold now: their owner may write to them as soon as the run is answered.
async function sayFirstNotFinite(graph: Graph, inputs: Inputs, load: Load): Promise<void> {
  const kept = copiedInputs(inputs);
  try {
    const first = await firstNotFinite(graph, kept, load);
    if (first !== null) warn('output/first-not-finite', `"${graph.name}": ${first}`);
  } catch {
    // The search takes memory beside the model's, and its device may be gone; what was found is said in any case.
  }
}

/**
 * The first blob with a value that is not finite, by one run in which every layer's blobs are outputs.
 * @param graph As written, in the order in which it is computed.
 * @param load The same net and weights with these outputs, nothing fused.
 * @returns A sentence that names the input or the layer; null where all is finite in this run.
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
