/** Reads reports of every earlier schema into today's form. */

import { ResnodeError } from '../../base/errors.ts';
import { readJsonFile } from '../../caffe/json.ts';
import type { DeviceReport } from './device-report.ts';
import { fromGpuBench, fromGpuCheck, fromGpuCheckStep } from './gpu-records.ts';
import type { Candidate, OperationTime } from './job.ts';
import type { CaffeFigures, Report, Result } from './report.ts';

/** The fields of reports of every schema. */
export interface RecordedReport extends Omit<Report, 'schema' | 'bandwidth'> {
  /** The schema that it was written with. */
  readonly schema: string;
  /** Null if it was not measured: before resnode-bench/2. */
  readonly bandwidth: number | null;
}

type Fields = Readonly<Record<string, unknown>> & Pick<Report, 'results'>;

const forward = { task: 'forward' } as const;
const list = <Item>(value: unknown) => (value ?? []) as readonly Item[];
const withoutOperations = { bandwidth: null, operations: null, caffe: [] };

/** The fields that each schema lacks. */
const SCHEMAS: Readonly<Record<string, (report: Fields) => object>> = {
  'resnode-bench/3': (report) => report,
  'resnode-bench/2': (report) => {
    const operations = report.operations as {
      readonly times: readonly Omit<OperationTime, 'candidates'>[];
    } | null;
    const chosen = ({ implementation, milliseconds }: Candidate) => ({ implementation, milliseconds });
    return {
      ...report,
      results: report.results.map((result) => ({ ...forward, ...result })),
      operations: operations && {
        ...operations,
        times: operations.times.map((time) => ({ ...time, candidates: [chosen(time)] })),
      },
      caffe: list<CaffeFigures>(report.caffe).map((figures) => ({ ...forward, ...figures })),
    };
  },
  'resnode-bench/1': (report) => ({
    ...report,
    ...withoutOperations,
    results: report.results.map((result) => ({ ...forward, ...result })),
  }),
  // From an earlier benchmark, which named CIFAR's net only by its depth.
  'resnode-train-bench/1': (report) => ({
    ...report,
    ...withoutOperations,
    results: list<Result & { readonly rounds: Result['quiet'] }>(report.results).map(
      ({ rounds, ...result }) => ({
        ...result,
        task: 'training',
        net: result.net === 'ResNet-20' ? 'CIFAR-20' : result.net,
        quiet: rounds,
        busy: null,
        eventLoop: null,
        firstAnswer: [],
      }),
    ),
  }),
};

/** Reads reports of a GPU into the form that `bench --device cuda` writes today. */
const DEVICE_SCHEMAS: Readonly<Record<string, (report: never) => DeviceReport>> = {
  'resnode-device-bench/2': (report: DeviceReport) => report,
  'resnode-device-bench/1': (report: DeviceReport) => ({
    ...report,
    schema: 'resnode-device-bench/2',
    nets: report.nets.map((net) => ({ ...net, precision: report.precision, peers: [] })),
  }),
  'resnode-gpu-bench/1': fromGpuBench,
  'resnode-gpu-check/1': fromGpuCheck,
  'resnode-gpu-check-step/1': fromGpuCheckStep,
};

/** A report of the CPU or of a GPU. */
export type AnyReport = RecordedReport | DeviceReport;

export const isDeviceReport = (report: AnyReport): report is DeviceReport =>
  report.schema === 'resnode-device-bench/2';

/**
 * Reads the output of `--json` for the CPU or a GPU, of today's or an earlier schema, and the records of bench/gpu.ts and
 * scripts/gpu-check.sh.
 * @throws ResnodeError `bench/report` if the file is not a report of a known schema
 */
export function readReport(file: string): AnyReport {
  const known = [...Object.keys(SCHEMAS), ...Object.keys(DEVICE_SCHEMAS)];
  const refusal = (found: string, cause?: unknown, isWrongKind = false) =>
    new ResnodeError(
      'bench/report',
      `${file}: ${isWrongKind ? '' : `expected a report of schema ${known.join(', ')}, found `}${found}`,
      { cause },
    );
  const fail = (found: string, cause?: unknown): never => {
    throw refusal(found, cause);
  };
  const report = readJsonFile(file, 'json', refusal) as
    | (Fields & { readonly schema?: unknown; readonly format?: unknown })
    | null;
  const schema = report?.schema ?? report?.format;
  if (typeof schema !== 'string' || !known.includes(schema)) return fail(`schema ${JSON.stringify(schema)}`);
  if (Object.hasOwn(SCHEMAS, schema) && !Array.isArray(report!.results)) return fail('no results');
  try {
    const read = { ...SCHEMAS, ...DEVICE_SCHEMAS }[schema]!(report as never) as AnyReport;
    checkTimes(read);
    return read;
  } catch (error) {
    return fail(`one that is damaged (${(error as Error).message})`, error);
  }
}

// Every reader computes a median of these.
function checkTimes(report: AnyReport): void {
  const times = isDeviceReport(report)
    ? [
        ...report.nets.flatMap((net) => [net, ...net.peers].map(({ milliseconds }) => milliseconds)),
        ...report.shapes.flatMap(({ ways }) => ways.map(({ microseconds }) => microseconds)),
      ]
    : [
        ...report.results.flatMap(({ quiet }) => quiet),
        ...(report.operations?.times ?? []).map(({ milliseconds }) => milliseconds),
      ];
  if (!times.every((list) => Array.isArray(list) && list.every(Number.isFinite)))
    throw new TypeError('times that are not numbers');
}
