/** Reports of every schema that there has been, as today's. */
import { readFileSync } from 'node:fs';
import { ResnodeError } from '../errors.ts';
import type { Candidate, OperationTime } from './job.ts';
import type { CaffeFigures, Report, Result } from './report.ts';

/** What reports of every schema say. */
export interface RecordedReport extends Omit<Report, 'schema' | 'bandwidth'> {
  /** The schema that it was written with. */
  readonly schema: string;
  /** Null where it was not measured: before resnode-bench/2. */
  readonly bandwidth: number | null;
}

type Fields = Readonly<Record<string, unknown>> & Pick<Report, 'results'>;

const forward = { task: 'forward' } as const;
const list = <Item>(value: unknown) => (value ?? []) as readonly Item[];
const withoutOperations = { bandwidth: null, operations: null, caffe: [] };

/** What each schema lacks. */
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
  // Of a runner of its own, which called CIFAR's net by its depth alone.
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

/**
 * Reads what `--json` wrote, now or with an earlier schema.
 * @throws ResnodeError `bench/report` where the file is no report of a known schema
 */
export function readReport(file: string): RecordedReport {
  const fail = (found: string, cause?: unknown): never => {
    throw new ResnodeError(
      'bench/report',
      `${file}: expected a report of schema ${Object.keys(SCHEMAS).join(', ')}, found ${found}`,
      { cause },
    );
  };
  let report: (Fields & { readonly schema?: string }) | null;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    return fail((error as Error).message, error);
  }
  const schema = report?.schema ?? '';
  if (!Object.hasOwn(SCHEMAS, schema)) return fail(`schema ${JSON.stringify(report?.schema)}`);
  if (!Array.isArray(report?.results)) return fail('no results');
  return SCHEMAS[schema]!(report) as RecordedReport;
}
