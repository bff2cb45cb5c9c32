/** The first blob of a net with a value that is not finite, by one run in which every layer's blobs are outputs. */
import { describeNotFinite, notFinite } from '../base/not-finite.ts';
import { yielding } from '../base/yielding.ts';
import type { Graph } from '../graph/graph.ts';
import type { Model } from './model.ts';
import type { Inputs } from './tensor.ts';

/**
 * @param graph As written, in the order in which it is computed.
 * @param load The same net and weights with these outputs, nothing fused.
 * @returns A sentence that names the input or the layer; null where all is finite in this run.
 */
export async function firstNotFinite(
  graph: Graph,
  inputs: Inputs,
  load: (outputs: readonly string[]) => Promise<Model>,
): Promise<string | null> {
  for (const [name, input] of Object.entries(inputs)) {
    const data = input instanceof Float32Array ? input : (input as { data?: unknown }).data;
    const found = data instanceof Float32Array ? notFinite(data) : null;
    if (found !== null) return `the input "${name}" has it already: ${describeNotFinite(found)}`;
  }
  const made = graph.nodes.flatMap(({ outputs }) => outputs.map((id) => graph.values[id]!));
  const names = [...new Set(made.map(({ blob, layer }) => `${blob}@${layer}`))];
  await using model = await load(names);
  const outputs = await model.run(inputs);
  const yieldIfDue = yielding();
  for (const { blob, layer } of made) {
    const found = notFinite(outputs[`${blob}@${layer}`]!.data);
    if (found !== null)
      return `the first layer whose output is not finite is "${layer}" (blob "${blob}": ${describeNotFinite(found)}); look at its weights and its input`;
    await yieldIfDue();
  }
  return null;
}
