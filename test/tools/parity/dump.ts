/** Writes the reference device's results as a Caffe dump, so that faults can be put into it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Device,
  graphFromCaffe,
  type NetParameter,
  type Tensor,
  type WeightsFile,
} from '../../../ts/index.ts';
import { deviceTops, layerTops, type Tops } from '../../../ts/tools/parity/against/tops.ts';

export interface DumpOptions {
  readonly net: NetParameter;
  readonly weights: WeightsFile;
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Changes the results. */
  readonly change?: (tops: Map<string, Tensor>) => Tops;
}

/** Runs the net and writes every layer's tops, in the format of scripts/caffe-dump.py. */
export async function writeDump(device: Device, folder: string, options: DumpOptions): Promise<void> {
  const { net, weights, inputs, change = (tops) => tops } = options;
  const source = await deviceTops(device, { net, weights });
  const tops = change(new Map(await source.run(inputs)));
  source.dispose();
  mkdirSync(folder, { recursive: true });
  let count = 0;
  const write = ({ shape, data }: Tensor) => {
    const file = `${count++}.f32`;
    writeFileSync(join(folder, file), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return { file, shape };
  };
  const layers: Record<string, object[]> = {};
  const structure: { name: string; top: string[] }[] = [];
  for (const [name, tensor] of tops) {
    const at = name.lastIndexOf('@');
    const [blob, layer] = [name.slice(0, at), name.slice(at + 1)];
    if (layers[layer] === undefined) structure.push({ name: layer, top: [] });
    structure.at(-1)!.top.push(blob);
    layers[layer] = [...(layers[layer] ?? []), write(tensor)];
  }
  const manifest = {
    format: 'caffe-golden/1',
    kind: 'net',
    phase: 'TEST',
    level: 0,
    stages: [],
    net: 'net.prototxt',
    weights: null,
    structure: { outputs: [], layers: structure },
    passes: [{ inputs: Object.fromEntries(Object.entries(inputs).map(([k, v]) => [k, write(v)])), layers }],
  };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
}

/** The names of all tops of a net, in order. */
export const topNames = (net: NetParameter): string[] =>
  layerTops(graphFromCaffe(net)).map(({ name }) => name);
