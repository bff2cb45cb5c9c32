/**
 * Compares the memory that resnode reports with what the driver reports, for ResNet-50 at batch 1. Prints a line of
 * JSON per precision. Exits with status 1 if they differ, or if float16 takes 400 MB or more, including the CUDA
 * context.
 *
 *   tsx bench/gpu/memory.ts [DEVICE]
 */

import type { DeviceKind } from '../../ts/device/device.ts';
import { type Device, devices, openDevice } from '../../ts/index.ts';
import { makeInput, makeNet, PRECISIONS, type Precision } from './case.ts';

const LIMIT = 400e6;
/** The driver allocates pages of 2 MiB. A model makes a few allocations, and has a graph of its own. */
const GRANULARITY = 16 * 2 ** 20;
const kind = process.argv[2] ?? 'cuda';
const net = makeNet(50);
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

const before = devices().devices.find(({ device }) => device === (kind === 'cuda' ? 'cuda:0' : kind));
if (before === undefined) throw new Error(`There is no ${kind}: ${devices().problem}`);
using device = await openDevice(kind as DeviceKind, { tune: false });
const used = () => before.memory.free - device.memory().driver!.free;

async function load(target: Device, precision: Precision) {
  const model = await target.load({ model: net.net, weights: net.weights, batch: 1, precision });
  await model.run({ data: makeInput(1) });
  return model;
}

for (const precision of PRECISIONS) {
  // The first model also loads the kernels' code, so the second one is measured.
  (await load(device, precision)).dispose();
  const [emptyUsed, emptyHeld] = [used(), device.memory().total];
  const model = await load(device, precision);
  const held = device.memory().total - emptyHeld;
  const plan = model.plan();
  const planned = plan.parameterBytes + plan.arenaBytes + plan.workspaceBytes;
  const grown = used() - emptyUsed;
  const total = used();
  model.dispose();
  const ok = Math.abs(grown - held) <= GRANULARITY && (precision !== 'float16' || total < LIMIT);
  const summary = `${precision}: planned ${megabytes(planned)}, held ${megabytes(held)}, the driver gave ${megabytes(grown)}; with the context ${megabytes(total)}`;
  console.log(JSON.stringify({ precision, planned, held, grown, total, ok, summary }));
  if (!ok) process.exitCode = 1;
}
