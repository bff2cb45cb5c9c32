/**
 * Converts the output of bench/gpu.ts and the collection of scripts/gpu-check.sh (`resnode-gpu-bench/1`,
 * `resnode-gpu-check/1` and the files of its steps) to reports of `bench --device cuda`.
 */
import type { DeviceReport, NetTimes, PeerTimes } from './device-report.ts';

/** A row of bench/gpu.ts: one engine on one net at one batch size. */
interface Row {
  readonly depth: number;
  readonly batch: number;
  readonly precision: string;
  readonly train?: boolean;
  readonly engine: string;
  readonly latency?: Spread;
  readonly throughputMilliseconds?: Spread;
  readonly apart?: number | null;
  readonly reason?: string | null;
  readonly losses?: readonly (number | string)[];
  readonly skippedUpdates?: number;
}

interface Spread {
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
}

interface Step {
  readonly name: string;
  readonly date?: string;
  readonly commit?: string;
  readonly machine?: Readonly<Record<string, string>>;
  readonly result?: {
    readonly commit?: string;
    readonly facts?: Readonly<Record<string, string>>;
    readonly rows?: readonly object[];
    readonly report?: DeviceReport | null;
  } | null;
}

type About = Pick<DeviceReport, 'date' | 'commit' | 'device' | 'description'>;

/** `resnode-gpu-bench/1`: the rows of one machine. */
export function fromGpuBench(record: {
  readonly date: string;
  readonly commit: string;
  readonly device: Readonly<Record<string, string | number>>;
  readonly rows: readonly object[];
}): DeviceReport {
  const { GPU: device = 'unknown GPU', ...description } = record.device;
  return reportOf(
    { date: record.date, commit: record.commit, device: String(device), description },
    netsOf(record.rows),
    null,
  );
}

/** `resnode-gpu-check/1`: all steps. */
export function fromGpuCheck(check: {
  readonly date: string;
  readonly steps: readonly Step[];
}): DeviceReport {
  const machine = check.steps.find(({ name }) => name === 'device')?.result;
  const about = machineOf(check.date, machine?.commit ?? null, machine?.facts ?? {});
  return fromSteps(about, check.steps);
}

/** `resnode-gpu-check-step/1`: a single step. */
export function fromGpuCheckStep(step: Step): DeviceReport {
  return fromSteps(machineOf(step.date ?? '', step.commit ?? null, step.machine ?? {}), [step]);
}

function fromSteps(about: About, steps: readonly Step[]): DeviceReport {
  const operations =
    steps.map(({ result }) => result?.report ?? null).find((report) => report !== null) ?? null;
  const nets = steps.flatMap(({ name, result }) =>
    netsOf(result?.rows ?? []).map((net) =>
      name === 'variants' ? { ...net, net: `${net.net} without cuDNN` } : net,
    ),
  );
  return reportOf(about, nets, operations);
}

function machineOf(date: string, commit: string | null, facts: Readonly<Record<string, string>>): About {
  const { 'CUDA device': device = 'unknown GPU', ...description } = facts;
  return { date, commit, device, description };
}

function reportOf(about: About, nets: readonly NetTimes[], operations: DeviceReport | null): DeviceReport {
  const { precision = 'float16', copyGigabytes = null, batch = 1, shapes = [] } = operations ?? {};
  const all = [...nets, ...(operations?.nets ?? [])];
  return { schema: 'resnode-device-bench/2', ...about, precision, copyGigabytes, batch, shapes, nets: all };
}

// resnode was measured with each peer. The rounds of one case are joined.
function netsOf(rows: readonly object[]): NetTimes[] {
  const cases = new Map<string, Row[]>();
  for (const row of rows as readonly Row[]) {
    if (row.engine === undefined) continue;
    const key = [row.depth, row.batch, row.precision, row.train ?? false].join();
    cases.set(key, [...(cases.get(key) ?? []), row]);
  }
  return [...cases.values()].flatMap((all): NetTimes[] => {
    const own = all.filter(({ engine, latency }) => engine === 'resnode' && latency !== undefined);
    const [first] = own;
    if (first === undefined) return [];
    return [
      {
        task: first.train ? 'training' : 'forward',
        net: `ResNet-${first.depth}`,
        batch: first.batch,
        precision: first.precision,
        milliseconds: own.flatMap(({ latency }) => valuesOf(latency)),
        throughputMilliseconds: own.flatMap((row) => valuesOf(row.throughputMilliseconds)),
        operations: null,
        ...training(first),
        caffe: null,
        peers: all.filter(({ engine }) => engine !== 'resnode').map(peerOf),
      },
    ];
  });
}

function peerOf(row: Row): PeerTimes {
  return {
    engine: row.engine,
    milliseconds: valuesOf(row.latency),
    throughputMilliseconds: valuesOf(row.throughputMilliseconds),
    refusal: row.latency === undefined ? (row.reason ?? 'not timed') : null,
    difference: row.apart ?? null,
    ...training(row),
  };
}

const training = ({ losses, skippedUpdates }: Row) => ({
  ...(losses === undefined ? {} : { losses: losses.map(Number) }),
  ...(skippedUpdates === undefined ? {} : { skippedUpdates }),
});

// The runs were not recorded, so their median and spread replace them.
const valuesOf = (spread: Spread | undefined): number[] =>
  spread === undefined ? [] : [spread.p10, spread.median, spread.p90];
