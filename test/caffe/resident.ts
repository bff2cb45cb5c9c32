/** Run by large-caffemodel.test.ts: prints as JSON how much memory reading and loading a net's weights takes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { readWeights } from '../../ts/caffe/read-weights.ts';
import { openDevice, resnet } from '../../ts/index.ts';
import { loadBinding } from '../../ts/native/load.ts';

const status = (field: string) =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))![1]) *
  1024;

/** The peak resident memory during `work`, minus the memory before. */
async function growth(work: () => Promise<unknown>): Promise<number> {
  writeFileSync('/proc/self/clear_refs', '5'); // proc(5): resets VmHWM to what is resident now
  const before = status('VmRSS');
  await work();
  return status('VmHWM') - before;
}

const [path] = process.argv.slice(2) as [string];
const { binding } = loadBinding();
const model = resnet({ depth: 152 });
using device = await openDevice('cpu', { threads: 2 });
const keep: unknown[] = [];
const read = await growth(async () => {
  keep.push(await readWeights(path, (name) => new Uint8Array(binding.mapFile(name))));
});
const load = await growth(async () => {
  keep.push(await device.load({ model, weights: path }));
});
console.log(JSON.stringify({ read, load, parameters: device.memory().parameters, kept: keep.length }));
