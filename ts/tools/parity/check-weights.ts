/** Loads one net's weights in many forms, and expects errors for those that Caffe refuses. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WeightsError } from '../../base/errors.ts';
import { readCaffemodel } from '../../caffe/caffemodel.ts';
import { type Check, checkParameters, compare, expectation, readInputs } from './check.ts';
import type { Loader } from './check-net.ts';
import type { WeightsCase } from './golden-case.ts';

/** @throws as Device.load and Model.run, except where the case expects it */
export async function checkWeights(
  device: Loader,
  golden: WeightsCase & { readonly folder: string },
): Promise<Check[]> {
  const { folder } = golden;
  const checks: Check[] = [];
  const load = (file: string) =>
    device.load({
      model: join(folder, golden.net),
      weights: join(folder, file),
      outputs: Object.keys(golden.outputs),
      optimize: false,
    });
  for (const file of Object.keys(golden.equivalent)) {
    await using model = await load(file);
    const label = (name: string, layer: string) => ({ name, layer, mode: file, pass: 0 });
    checks.push(...(await checkParameters(model, folder, golden.params, label, 0)));
    const results = await model.run(readInputs(folder, golden.inputs));
    for (const [name, recorded] of Object.entries(golden.outputs))
      checks.push(compare(folder, recorded, results[name]!.data, label(name, name)));
  }
  for (const [file, { ok: accepted, about }] of Object.entries(golden.refused)) {
    // Caffe accepts these files without loading anything from them. resnode accepts them only on request.
    const outcome = await (accepted ? loadNothing(device, golden, file) : load(file)).then(
      (model) => {
        model.dispose();
        return 'accepted';
      },
      (error: unknown) => {
        if (error instanceof WeightsError) return 'refused';
        throw error;
      },
    );
    const ok = outcome === (accepted ? 'accepted' : 'refused');
    checks.push(expectation(ok, { name: `${outcome}: ${about}`, layer: '', mode: file, pass: 0 }));
  }
  return checks;
}

function loadNothing(
  device: Loader,
  { folder, net }: WeightsCase & { readonly folder: string },
  file: string,
) {
  const path = join(folder, file);
  const weights = readCaffemodel(readFileSync(path), { file: path });
  return device.load({ model: join(folder, net), weights, partialWeights: true });
}
