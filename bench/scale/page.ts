/**
 * `npm run scale-page`: writes docs/scale.md, which estimates from bytes, rates and the model how long 8 and 64
 * processes wait for each other.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { writeFileAtomically } from '../../ts/caffe/atomic-file.ts';
import { graphFromCaffe, type NetParameter, resnet, summarise } from '../../ts/index.ts';
import type { MeasuredSums } from './measure.ts';
import {
  type AllReduce,
  halving,
  iterate,
  type LayerGradients,
  type Link,
  ring,
  tree,
  twoLevels,
} from './model.ts';

const SUMS = 'bench/results/2026-11-29-amd-epyc-mpi-sums.json';
const repository = new URL('../../', import.meta.url);
const page = fileURLToPath(new URL('docs/scale.md', repository));

const [MEGA, GIGA] = [1e6, 1e9];
const MICRO = 1e-6;
const RANKS = [8, 64] as const;
/** The bucket size of torch's DistributedDataParallel. */
const BUCKET = 25 * 2 ** 20;
/** The backward pass's share of a training step: it has two products per convolution, the forward pass one. */
const BACKWARD = 2 / 3;

/** A link, its name, and the source of its rates. */
interface Named extends Link {
  readonly name: string;
  readonly source: string;
}

const HBM = 4154 * GIGA;
const MEMORY = 38.6 * GIGA;
const NCCL = "NCCL's own model, src/graph/tuning.cc, hwLat, ring, Simple";

const NVLINK: Named = {
  name: 'NVLink 4',
  latency: 3.4 * MICRO,
  bytesPerSecond: 450 * GIGA,
  addedPerSecond: HBM / 3,
  source: `H200's data sheet: 900 GB/s, half of it in each direction; latency: ${NCCL}`,
};
const PCIE: Named = {
  name: 'PCIe 5.0 ×16',
  latency: 5.7 * MICRO,
  bytesPerSecond: 63 * GIGA,
  addedPerSecond: HBM / 3,
  source: `PCI-SIG: 32 GT/s on 16 lanes, 128b/130b; latency: ${NCCL}`,
};
const INFINIBAND: Named = {
  name: '400 Gb/s InfiniBand, a port each',
  latency: 14 * MICRO,
  bytesPerSecond: 50 * GIGA,
  addedPerSecond: HBM / 3,
  source: `DGX H200's data sheet: eight ConnectX-7; latency: ${NCCL}`,
};
const SHARED_100G: Named = {
  name: '100 Gb/s Ethernet, a port for eight',
  latency: 14 * MICRO,
  bytesPerSecond: (12.5 / 8) * GIGA,
  addedPerSecond: HBM / 3,
  source: `IEEE 802.3: 100 Gb/s, an eighth each; latency: ${NCCL}`,
};
const ETHERNET_10G: Named = {
  name: '10 Gb/s Ethernet',
  latency: 50 * MICRO,
  bytesPerSecond: 1.25 * GIGA,
  addedPerSecond: MEMORY / 3,
  source: 'IEEE 802.3; the latency is an assumption, of TCP',
};
const ETHERNET_1G: Named = {
  name: '1 Gb/s Ethernet',
  latency: 50 * MICRO,
  bytesPerSecond: 0.125 * GIGA,
  addedPerSecond: MEMORY / 3,
  source: 'IEEE 802.3; the latency is an assumption, of TCP',
};
const LINKS = [NVLINK, PCIE, INFINIBAND, SHARED_100G, ETHERNET_10G, ETHERNET_1G];

/** A number of processes, their connections, and the step that was measured on one process. */
interface System {
  readonly name: string;
  readonly images: number;
  readonly seconds: number;
  readonly reduce: AllReduce;
  /** For 8 processes and for 64. */
  readonly links: readonly [Link, Link];
}

const H200 = { images: 256, seconds: 0.0368 };
const EPYC = { images: 8, seconds: 0.933 };
const SYSTEMS: readonly System[] = [
  {
    ...H200,
    name: 'H200, 8 a machine by NVLink, between machines 400 Gb/s each',
    reduce: twoLevels(8, NVLINK),
    links: [INFINIBAND, INFINIBAND],
  },
  {
    ...H200,
    name: 'the same GPUs by PCIe, between machines 100 Gb/s for eight',
    reduce: twoLevels(8, PCIE),
    links: [SHARED_100G, SHARED_100G],
  },
  {
    ...H200,
    name: 'the same GPUs, one a machine, 10 Gb/s',
    reduce: ring,
    links: [ETHERNET_10G, ETHERNET_10G],
  },
  { ...EPYC, name: 'two cores a machine, 10 Gb/s', reduce: tree, links: [ETHERNET_10G, ETHERNET_10G] },
  { ...EPYC, name: 'two cores a machine, 1 Gb/s', reduce: tree, links: [ETHERNET_1G, ETHERNET_1G] },
];

/** The size of ILSVRC2012_img_train.tar divided by its images; a Datum of a picture of 256×256. */
const READ = { jpeg: 147_897_477_120 / 1_281_167, datum: 3 * 256 ** 2 };

/** The gradients that a net's solver averages, by layer. BatchNorm's statistics are not gradients. */
export function gradientsOf(net: NetParameter): LayerGradients[] {
  const { layers, macs } = summarise(graphFromCaffe(net));
  return layers.map((layer) => ({
    bytes: layer.type === 'BatchNorm' ? 0 : 4 * layer.parameters,
    share: layer.macs / macs,
  }));
}

const bytesOf = (layers: readonly LayerGradients[]): number =>
  layers.reduce((sum, { bytes }) => sum + bytes, 0);

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');

const milliseconds = (seconds: number): string => {
  const value = 1000 * seconds;
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0);
};
const rate = (bytesPerSecond: number): string =>
  bytesPerSecond < GIGA
    ? `${(bytesPerSecond / MEGA).toFixed(1)} MB/s`
    : `${(bytesPerSecond / GIGA).toFixed(2)} GB/s`;
const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;

function bytesTable(): string {
  const rows = [20, 50, 101, 152].map((depth) => {
    const net = resnet(depth === 20 ? { depth, classes: 10 } : ({ depth } as Parameters<typeof resnet>[0]));
    return [
      `ResNet-${depth}${depth === 20 ? ' (CIFAR)' : ''}`,
      (bytesOf(gradientsOf(net)) / MEGA).toFixed(1),
    ];
  });
  return table(['net', 'MB of gradients'], rows);
}

function sumsTable({ sums }: MeasuredSums): string {
  const rows = sums.map(({ bytes, milliseconds: all }) => {
    const best = Math.min(...all);
    return [
      bytes.toLocaleString('en-GB'),
      best.toFixed(2),
      all.toSorted((a, b) => a - b)[all.length >> 1]!.toFixed(2),
      bytes < MEGA ? '–' : rate((1000 * bytes) / best),
    ];
  });
  return table(['bytes', 'fastest, ms', 'median, ms', 'fastest'], rows);
}

const linksTable = (): string =>
  table(
    ['link', 'GB/s of a process', 'latency, µs', 'source'],
    LINKS.map(({ name, bytesPerSecond, latency, source }) => [
      name,
      String(bytesPerSecond / GIGA),
      (latency / MICRO).toFixed(1),
      source,
    ]),
  );

function reduceTable(bytes: number): string {
  const algorithms = [ring, halving, tree];
  const rows = LINKS.map((link) => [
    link.name,
    ...RANKS.flatMap((ranks) => algorithms.map((reduce) => milliseconds(reduce(bytes, ranks, link)))),
  ]);
  const names = ['ring', 'halving', 'tree'];
  return table(['link', ...RANKS.flatMap((ranks) => names.map((name) => `${name}, ${ranks}`))], rows);
}

function stepTable(layers: readonly LayerGradients[]): string {
  const rows = SYSTEMS.flatMap(({ name, images, seconds, reduce, links }) =>
    RANKS.map((ranks, i) => {
      const step = { seconds, backward: BACKWARD };
      const send = (bytes: number) => reduce(bytes, ranks, links[i]!);
      const behind = iterate(layers, step, Number.POSITIVE_INFINITY, send);
      const beside = iterate(layers, step, BUCKET, send);
      return [
        name,
        String(ranks),
        milliseconds(seconds),
        milliseconds(behind.waiting),
        percent(seconds / behind.seconds),
        milliseconds(beside.waiting),
        percent(seconds / beside.seconds),
        Math.round((ranks * images) / behind.seconds).toLocaleString('en-GB'),
        rate((READ.jpeg * images) / behind.seconds),
        rate((READ.datum * images) / behind.seconds),
      ];
    }),
  );
  const head = [
    'processes',
    'how many',
    'step, ms',
    'waiting behind, ms',
    'efficiency',
    'waiting beside, ms',
    'efficiency',
    'images/s of all, behind',
    'each reads JPEG',
    'each reads Datums',
  ];
  return table(head, rows);
}

/** docs/scale.md as it is, and as it should be. */
export function scalePage(): { readonly found: () => string; readonly expected: string } {
  const layers = gradientsOf(resnet({ depth: 50 }));
  const bytes = bytesOf(layers);
  const measured = JSON.parse(readFileSync(fileURLToPath(new URL(SUMS, repository)), 'utf8')) as MeasuredSums;
  const expected = `# What many processes wait for each other

Written by \`npm run scale-page\` from \`bench/scale\`; not to be edited by hand. It is a model: training was run in two
processes on one machine, never in 8 or 64, and never on several GPUs. What was measured says so; all else is computed from
counted bytes and the rates of data sheets, which real programs do not reach.

## Bytes

What \`train\` averages in each iteration: the gradients of all learned blobs in float32, in 16-bit training too. Counted from the nets.

${bytesTable()}

An image is ${Math.round(READ.jpeg).toLocaleString('en-GB')} bytes as ImageNet's JPEG (the size of ILSVRC2012_img_train.tar, 147,897,477,120 bytes, over 1,281,167 images)
and ${READ.datum.toLocaleString('en-GB')} as a Datum of 256×256 pixels.

## Measured: sums in two processes of one machine

\`communicator.sum\` from JavaScript, its two copies included, between ${measured.processes} processes on ${measured.cores} cores of an ${measured.processor.trim()}, by the shared memory of
Open MPI; the machine had other work, so the fastest of ${measured.sums[0]!.milliseconds.length}, in two runs, says most ([all times](../${SUMS})). The last row is as long
as ResNet-50's gradients without the first bias.

${sumsTable(measured)}

## Rates that are assumed

${linksTable()}

Sums are added at a third of the memory's rate: ${HBM / GIGA} GB/s on a GPU, ${MEMORY / GIGA} GB/s on processors, as
[measured](speed.md).

## One all-reduce of ResNet-50's ${(bytes / MEGA).toFixed(1)} MB, in ms

For *p* processes, *n* bytes, a message's latency α, β seconds a byte and γ seconds to add one (Thakur, Rabenseifner and Gropp,
"Optimization of Collective Communication Operations in MPICH", IJHPCA 19(1), 2005):

- ring: 2(p − 1)α + 2(p − 1)/p·nβ + (p − 1)/p·nγ. NCCL's, which resnode's GPUs use, is such a ring or a pipelined tree.
- halving (Rabenseifner's): 2 lg p·α + 2(p − 1)/p·nβ + (p − 1)/p·nγ.
- tree: lg p·(2α + 2nβ + nγ), a binomial reduce and broadcast. It is the most that \`libresnode_mpi.so\` takes, which asks MPI for a reduce
  and a broadcast, so that all processes get the same bits; MPI may pipeline them.

${reduceTable(bytes)}

## A step of ResNet-50

The step of one process was measured alone: ${milliseconds(H200.seconds)} ms for ${H200.images} images in float16 on an H200 ([cuda-status.md](cuda-status.md)), ${milliseconds(EPYC.seconds)} ms for
${EPYC.images} images on two cores ([speed.md](speed.md)). *Behind*: all gradients go after the backward pass, as resnode's do today. *Beside*: they
go while it runs, in buckets of 25 MiB (Li et al., "PyTorch Distributed", VLDB 2020), which resnode does not do; the backward pass is taken
for two thirds of the step, shared among the layers by their multiply-accumulates, and the network for one that costs it nothing. In machines of
eight, a ring within each, a ring of every GPU's eighth among them, and a ring within each again. GPUs alone in
their machines form one ring; processors reduce and broadcast by trees. Efficiency is the step over the step and its waiting.

${stepTable(layers)}

What follows from it: with a fast network within and among the machines there is little to win by sending beside the backward pass; by PCIe
and a shared port it would pay; and by 1 or 10 Gb/s the network decides, and a larger batch is the means that there is: each pass
of \`iter_size\` exchanges its gradients too.
`;
  return { found: () => readFileSync(page, 'utf8'), expected };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileAtomically(page, [scalePage().expected]);
