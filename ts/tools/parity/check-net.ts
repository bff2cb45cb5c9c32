/** Replays the forward passes of a net, layer by layer as written and fused as it runs by default. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { optionsOf } from '../../base/options.ts';
import { filterNet, type NetParameter, netState, readNet } from '../../caffe/net-parameter.ts';
import type { LoadOptions } from '../../device/load-options.ts';
import type { Model, Outputs } from '../../device/model.ts';
import { graphFromCaffe } from '../../graph/from-caffe.ts';
import { type Check, checkParameters, compare, readInputs } from './check.ts';
import { difference } from './difference.ts';
import type { NetCase } from './golden-case.ts';

/** The device that loads the nets of a case. */
export interface Loader {
  load(options: LoadOptions): Promise<Model>;
}

/** @throws as Device.load and Model.run */
export async function checkNet(
  device: Loader,
  golden: NetCase & { readonly folder: string },
): Promise<Check[]> {
  const { folder, phase, level, stages, structure, passes } = golden;
  const last = passes.at(-1)!;
  const tops = new Map(structure.layers.map(({ name, top }) => [name, top]));
  const makers = new Map(structure.layers.flatMap(({ name, top }) => top.map((blob) => [blob, name])));
  const order = structure.layers.map(({ name }) => name);
  const blobs = Object.keys(last.blobs ?? {});
  const layerTops = Object.keys(last.layers ?? {}).flatMap((name) =>
    tops.get(name)!.map((top) => `${top}@${name}`),
  );
  const model = join(folder, golden.net);
  const net = withConfiguration(
    filterNet(readNet(readFileSync(model, 'utf8'), { file: model }), optionsOf(netState, golden)),
    golden.spec?.cfg,
  );
  const graph = graphFromCaffe(net, { phase });
  const losses = [...graph.lossWeights].map(([id, weight]) => {
    const { blob, layer } = graph.values[id]!;
    return { name: `${blob}@${layer}`, blob, weight };
  });
  const common = { model: net, phase, level, stages };
  const weights = golden.weights === null ? {} : { weights: join(folder, golden.weights) };
  const checks: Check[] = [];
  for (const mode of ['layer by layer', 'fused'] as const) {
    const isWritten = mode === 'layer by layer';
    const outputs = isWritten
      ? [...new Set([...blobs, ...layerTops, ...losses.map(({ name }) => name)])]
      : structure.outputs;
    await using loaded = await device.load({
      ...common,
      ...weights,
      outputs,
      ...(isWritten ? { optimize: false } : {}),
    });
    const label = (name: string, layer: string, pass: number) => ({ name, layer, mode, pass });
    if (isWritten && golden.weights !== null)
      checks.push(...(await checkParameters(loaded, folder, golden.params_before, label, 0)));
    for (const [index, pass] of passes.entries()) {
      const results = await loaded.run(readInputs(folder, pass.inputs));
      const found: Check[] = [];
      for (const [name, recorded] of Object.entries(pass.blobs ?? {})) {
        const result = results[name];
        if (result !== undefined)
          found.push(compare(folder, recorded, result.data, label(name, makers.get(name) ?? name, index)));
      }
      if (isWritten) {
        for (const [layer, list] of Object.entries(pass.layers ?? {}))
          list.forEach((recorded, i) => {
            const name = `${tops.get(layer)![i]}@${layer}`;
            found.push(compare(folder, recorded, results[name]!.data, label(name, layer, index)));
          });
        found.push(...checkLoss(pass, losses, results, index, mode));
      }
      found.sort((a, b) => order.indexOf(a.layer) - order.indexOf(b.layer));
      checks.push(...found, ...(await checkParameters(loaded, folder, pass.params_after, label, index)));
    }
  }
  return checks;
}

/** The net with the configuration in the param_str of its Python layers. */
export function withConfiguration(
  net: NetParameter,
  config: Readonly<Record<string, number>> = {},
): NetParameter {
  const entries = Object.entries(config).map(([name, value]) => `'${name}': ${value}`);
  if (entries.length === 0) return net;
  const layer = (net.layer ?? []).map((each) => {
    if (each.type !== 'Python') return each;
    const written = String(each.python_param?.param_str ?? '').replace(/\}\s*$/, '');
    return {
      ...each,
      python_param: { ...each.python_param, param_str: [written, ...entries].join(', ') },
    };
  });
  return { ...net, layer };
}

// Net::Forward: the loss is Σ loss_weight · Σ top. Its noise is the noise of its tops.
function checkLoss(
  pass: NetCase['passes'][number],
  losses: readonly { name: string; blob: string; weight: number }[],
  results: Outputs,
  index: number,
  mode: string,
): Check[] {
  if (pass.loss === undefined || losses.length === 0) return [];
  let [total, noise] = [0, 0];
  for (const { name, blob, weight } of losses) {
    const { data } = results[name]!;
    total += weight * data.reduce((sum, value) => sum + value, 0);
    noise += Math.abs(weight) * (pass.blobs?.[blob]?.noise ?? 0) * data.length;
  }
  const deviation = difference(Float32Array.of(total), Float32Array.of(pass.loss), noise);
  return [
    { name: 'the loss', layer: losses.at(-1)!.name.split('@').at(-1)!, mode, pass: index, ...deviation },
  ];
}
