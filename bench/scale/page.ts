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
const NCCL = "NCCL's src/graph/tuning.cc, hwLat, ring, Simple";

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
  name: '400 Gb/s InfiniBand, one port per GPU',
  latency: 14 * MICRO,
  bytesPerSecond: 50 * GIGA,
  addedPerSecond: HBM / 3,
  source: `DGX H200's data sheet: eight ConnectX-7; latency: ${NCCL}`,
};
const SHARED_100G: Named = {
  name: '100 Gb/s Ethernet, one port for eight GPUs',
  latency: 14 * MICRO,
  bytesPerSecond: (12.5 / 8) * GIGA,
  addedPerSecond: HBM / 3,
  source: `IEEE 802.3: 100 Gb/s, an eighth for each process; latency: ${NCCL}`,
};
const ETHERNET_10G: Named = {
  name: '10 Gb/s Ethernet',
  latency: 50 * MICRO,
  bytesPerSecond: 1.25 * GIGA,
  addedPerSecond: MEMORY / 3,
  source: 'IEEE 802.3; latency: our assumption for TCP',
};
const ETHERNET_1G: Named = {
  name: '1 Gb/s Ethernet',
  latency: 50 * MICRO,
  bytesPerSecond: 0.125 * GIGA,
  addedPerSecond: MEMORY / 3,
  source: 'IEEE 802.3; latency: our assumption for TCP',
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
    name: 'H200: 8 per machine with NVLink, 400 Gb/s per GPU between machines',
    reduce: twoLevels(8, NVLINK),
    links: [INFINIBAND, INFINIBAND],
  },
  {
    ...H200,
    name: 'H200: 8 per machine with PCIe, 100 Gb/s for all eight between machines',
    reduce: twoLevels(8, PCIE),
    links: [SHARED_100G, SHARED_100G],
  },
  {
    ...H200,
    name: 'H200: one per machine, 10 Gb/s',
    reduce: ring,
    links: [ETHERNET_10G, ETHERNET_10G],
  },
  { ...EPYC, name: 'two cores per machine, 10 Gb/s', reduce: tree, links: [ETHERNET_10G, ETHERNET_10G] },
  { ...EPYC, name: 'two cores per machine, 1 Gb/s', reduce: tree, links: [ETHERNET_1G, ETHERNET_1G] },
];

/** Bytes of an image: ILSVRC2012_img_train.tar divided by its images, and a Datum of 256×256 pixels. */
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
const integer = (value: number): string => Math.round(value).toLocaleString('en-GB');
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
      integer(bytes),
      best.toFixed(2),
      all.toSorted((a, b) => a - b)[all.length >> 1]!.toFixed(2),
      bytes < MEGA ? '–' : rate((1000 * bytes) / best),
    ];
  });
  return table(['bytes', 'fastest, ms', 'median, ms', 'rate of the fastest'], rows);
}

const linksTable = (): string =>
  table(
    ['link', 'GB/s per process', 'latency, µs', 'source'],
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
      const sequential = iterate(layers, step, Number.POSITIVE_INFINITY, send);
      const overlapped = iterate(layers, step, BUCKET, send);
      return [
        name,
        String(ranks),
        milliseconds(seconds),
        milliseconds(sequential.waiting),
        percent(seconds / sequential.seconds),
        milliseconds(overlapped.waiting),
        percent(seconds / overlapped.seconds),
        integer((ranks * images) / sequential.seconds),
        rate((READ.jpeg * images) / sequential.seconds),
        rate((READ.datum * images) / sequential.seconds),
      ];
    }),
  );
  const head = [
    'system',
    'processes',
    'step, ms',
    'sequential: waiting, ms',
    'efficiency',
    'overlapped: waiting, ms',
    'efficiency',
    'sequential: images/s of all',
    'JPEGs read by each',
    'Datums read by each',
  ];
  return table(head, rows);
}

/** What docs/scale.md contains, and what it should contain. */
export function scalePage(): { readonly found: () => string; readonly expected: string } {
  const layers = gradientsOf(resnet({ depth: 50 }));
  const bytes = bytesOf(layers);
  const measured = JSON.parse(readFileSync(fileURLToPath(new URL(SUMS, repository)), 'utf8')) as MeasuredSums;
  const expected = `# How long processes that train together wait for each other

\`npm run scale-page\` writes this page from \`bench/scale\`; do not edit it by hand. Most of its figures come from a model.
Training has run in two processes on one machine, but not in 8 or 64 processes, and not on several GPUs. Figures that were
measured are marked as such. All others are computed from counted bytes and from the rates in data sheets, which real
programs do not reach.

## Bytes

In each iteration \`train\` averages the gradients of all learnable blobs. They are float32, in 16-bit training too. Their size
is counted from the nets:

${bytesTable()}

An image of ImageNet takes ${integer(READ.jpeg)} bytes as a JPEG (ILSVRC2012_img_train.tar has 147,897,477,120 bytes and 1,281,167 images)
and ${integer(READ.datum)} bytes as a Datum of 256×256 pixels.

## Measured: sums in two processes on one machine

\`communicator.sum\`, called from JavaScript and including its two copies, between ${measured.processes} processes on ${measured.cores} cores of an ${measured.processor.trim()},
through Open MPI's shared memory. Other programs ran on the machine at the same time, so the fastest of the ${measured.sums[0]!.milliseconds.length} sums of two runs
is the most reliable figure ([all times](../${SUMS})). The last row has the size
of ResNet-50's gradients without the bias of the first convolution.

${sumsTable(measured)}

## Assumed rates

${linksTable()}

We assume that a process adds at a third of its memory's rate. The measured rates are ${HBM / GIGA} GB/s on a GPU
([cuda-status.md](cuda-status.md)) and ${MEMORY / GIGA} GB/s on processors ([speed.md](speed.md)).

## One all-reduce of ResNet-50's ${(bytes / MEGA).toFixed(1)} MB, in ms

With *p* processes, *n* bytes, the latency α of a message, β seconds to send a byte and γ seconds to add one (Thakur,
Rabenseifner and Gropp, "Optimization of Collective Communication Operations in MPICH", IJHPCA 19(1), 2005):

- ring: 2(p − 1)α + 2(p − 1)/p·nβ + (p − 1)/p·nγ. NCCL, which resnode uses on GPUs, sends along such a ring or along a
  pipelined tree.
- halving (Rabenseifner's algorithm): 2 lg p·α + 2(p − 1)/p·nβ + (p − 1)/p·nγ.
- tree: lg p·(2α + 2nβ + nγ), a binomial reduce and broadcast. This is an upper bound for \`libresnode_mpi.so\`, which asks
  MPI for a reduce and a broadcast, so that all processes get the same bits. MPI may pipeline them.

${reduceTable(bytes)}

## A step of ResNet-50

We measured the step of a single process: ${milliseconds(H200.seconds)} ms for ${H200.images} images in float16 on an H200 ([cuda-status.md](cuda-status.md)), and
${milliseconds(EPYC.seconds)} ms for ${EPYC.images} images on two cores of an AMD EPYC ([speed.md](speed.md)). Efficiency is this time divided by the time of an
iteration with its waiting. The table compares two schedules:

- *sequential*: the gradients are sent after the backward pass, as resnode does.
- *overlapped*: they are sent during the backward pass, in buckets of 25 MiB (Li et al., "PyTorch Distributed", VLDB 2020).
  resnode does not do this. The model assumes that the backward pass takes two thirds of the step, that each layer's part of
  it is proportional to its multiply-accumulates, and that sending does not slow the computation down.

With eight GPUs in a machine, each machine first reduces along a ring of its GPUs, then each GPU exchanges its eighth along a
ring among the machines, and finally each machine gathers along its own ring. GPUs that are alone in their machines form one
ring. Processors reduce and broadcast by trees.

${stepTable(layers)}

With a fast network within and among the machines, overlapping gains little. It would pay with PCIe and a shared port, and for
processors at 10 Gb/s. GPUs at 10 Gb/s and processors at 1 Gb/s spend most of each iteration on the network. Only a larger
batch helps there: a larger \`iter_size\` does not, because every pass exchanges its gradients.
`;
  return { found: () => readFileSync(page, 'utf8'), expected };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileAtomically(page, [scalePage().expected]);
