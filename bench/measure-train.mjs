/**
 * resnode's side of bench/train-step.ts: `node bench/measure-train.mjs JOB`, in a process of its own, with resnode from
 * dist/ as a user has it, so that no compiler's memory is counted.
 */
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';

const WARM_UP = 3;
/** @type {Record<string, { size: number, classes: number }>} */
const SIZES = { 50: { size: 224, classes: 1000 }, 20: { size: 32, classes: 10 } };

const { depth, batch, threads, runs } = JSON.parse(process.argv[2] ?? '{}');
const { openDevice, resnet } = await import(new URL('../dist/index.js', import.meta.url).href);
const { SGD_UPDATE } = await import(new URL('../dist/runtime/plan-training.js', import.meta.url).href);
const { size, classes } = SIZES[depth] ?? { size: 0, classes: 0 };
const device = await openDevice('cpu', { threads });
const trainer = await device.train({
  model: resnet({ depth, train: true, batch }),
  inputShapes: { data: [batch, 3, size, size], label: [batch] },
  update: SGD_UPDATE,
});
const data = Float32Array.from({ length: batch * 3 * size * size }, (_, i) => Math.sin(i * i));
const label = Float32Array.from({ length: batch }, (_, i) => (7 * i) % classes);
const milliseconds = [];
for (let iteration = 0; iteration < WARM_UP + runs; iteration++) {
  const start = performance.now();
  await trainer.step({ data, label }, { rate: 0.01, iteration });
  milliseconds.push(performance.now() - start);
}
const { user, system } = process.cpuUsage();
const answer = {
  milliseconds: milliseconds.slice(WARM_UP),
  peakBytes: Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1024,
  version: `oneDNN ${device.description.oneDNN}`,
};
console.log(JSON.stringify({ answer, processorMilliseconds: (user + system) / 1000 }));
process.exit(0);
