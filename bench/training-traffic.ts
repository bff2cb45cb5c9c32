/**
 * The lower bound of a training step, from the traffic of its own schedule, by kind of work: `tsx
 * bench/training-traffic.ts [--depth 50] [--batch 256] [--precision float16] [--bandwidth 4154] [--peak 743]
 * [--fuse-sums]`. The defaults are those of an H200, in GB/s of a copy and TFLOP/s of a large product. --fuse-sums
 * assumes that cuDNN computes BatchNorm's sums with every convolution. This is a model: it needs no GPU and measures
 * nothing.
 */
import { parseArgs } from 'node:util';
import { type Depth, makeNet, type Precision } from './gpu/case.ts';
import { stepLimit } from './gpu/schedule.ts';

const { values } = parseArgs({
  options: {
    depth: { type: 'string', default: '50' },
    batch: { type: 'string', default: '256' },
    precision: { type: 'string', default: 'float16' },
    bandwidth: { type: 'string', default: '4154' },
    peak: { type: 'string', default: '743' },
    'fuse-sums': { type: 'boolean', default: false },
  },
});
const { depth, batch, precision } = values;
const ceilings = {
  [`${precision} TFLOP/s`]: Number(values.peak),
  'bandwidth GB/s': Number(values.bandwidth),
};
const net = makeNet(Number(depth) as Depth);
const limit = stepLimit(net, Number(batch), precision as Precision, ceilings, values['fuse-sums']);
console.log(
  `ResNet-${depth}, batch ${batch}, ${precision}: ${(limit.bytes / 1e9).toFixed(1)} GB a step, ${limit.milliseconds.toFixed(1)} ms at least`,
);
for (const [what, milliseconds] of Object.entries(limit.byWork).toSorted((a, b) => b[1] - a[1]))
  console.log(`${milliseconds.toFixed(2).padStart(8)} ms  ${what}`);
