/** Formats recorded reports for docs/speed.md: a paragraph with the conditions and a table each. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { DeviceReport } from '../ts/tools/bench/device-report.ts';
import { isDeviceReport, type RecordedReport, readReport } from '../ts/tools/bench/read-report.ts';
import {
  caffeMilliseconds,
  type Group,
  groupsOf,
  imagesPerSecond,
  type Result,
  ratio,
  shareOfPeak,
  shareOfSgemm,
  significant,
  titleOf,
} from '../ts/tools/bench/report.ts';
import { median } from '../ts/tools/bench/statistics.ts';
import type { ServingReport } from './serving-report.ts';

const BEGIN =
  '<!-- Written by `npm run speed-page` from the files that it names; not to be edited by hand. -->';
const END = '<!-- The end of what `npm run speed-page` writes. -->';

/** Schemas of a runner that gave each engine its own weights. */
const UNCOMPARED = ['resnode-train-bench/1'];

/**
 * Replaces what is between a text's two markers by the figures of reports.
 * @param files Reports, as paths from `folder`, by which the text names them.
 * @throws Error if the text lacks a marker; as `readReport`
 */
export function withFigures(text: string, files: readonly string[], folder: URL): string {
  const sections = files.map((file) => {
    const report = readReport(fileURLToPath(new URL(file, folder)));
    return isDeviceReport(report) ? deviceSection(report, file) : section(report, file);
  });
  return between(text, sections.join('\n\n'));
}

/**
 * Replaces what is between a text's two markers by `content`.
 * @throws Error if it lacks one
 */
function between(text: string, content: string): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`expected the lines "${BEGIN}" and "${END}", in this order`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${content}\n\n${text.slice(end)}`;
}

/**
 * Puts the table of a serving report between a text's markers.
 * @param file A report of `npm run bench-serving -- --json`, as a path from `folder`.
 */
export function withServing(text: string, file: string, folder: URL): string {
  const report = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as ServingReport;
  const { date, processor, cores, node, connections, requests, rounds, servers } = report;
  const refused = servers.flatMap((server) => server.rounds).reduce((sum, round) => sum + round.refused, 0);
  const rows = servers.map(({ name, median: m }) => {
    const cells = [m.requestsPerSecond.toFixed(1), m.cpuMilliseconds.toFixed(1), m.p50, m.p99];
    return `| ${[name, ...cells, m.eventLoopLateP99.toFixed(0), m.residentMegabytes.toFixed(0)].join(' | ')} |`;
  });
  return between(
    text,
    [
      `${date}, ${processor}, ${cores} cores, node ${node}: ResNet-50, JPEGs of 500×375, ${connections} connections, ${requests} requests`,
      `in each of ${rounds} rounds in turn, medians; ${refused === 0 ? 'none was' : `${refused} were`} refused ([all figures](${file})):`,
      '',
      '| server | requests/s | CPU ms a request | p50 ms | p99 ms | event loop late, p99 ms | RSS MB |',
      '| --- | --: | --: | --: | --: | --: | --: |',
      ...rows,
    ].join('\n'),
  );
}

/** @param file The report's path. */
function section(report: RecordedReport, file: string): string {
  const told = [conditions(report, file), ...operations(report)].join(';\n');
  return [`${told}:`, '', ...table(report)].join('\n');
}

/** For a GPU: its nets, with every engine that was timed on it. */
function deviceSection({ date, commit, device, description, nets }: DeviceReport, file: string): string {
  const about = Object.entries(description).map(([name, value]) => `${name} ${value}`);
  const rows = nets.flatMap((net) => {
    const own = median(net.milliseconds);
    const timed = net.peers.filter(({ refusal }) => refusal === null);
    return [{ engine: 'resnode', difference: 0, ...net }, ...timed].map((each, i) => {
      const { engine, milliseconds, difference } = each;
      const middle = median(milliseconds);
      const speed = (1000 * net.batch) / middle;
      // An engine whose results were not compared is neither slower nor faster.
      const ratio = difference === null ? '' : (middle / own).toFixed(2);
      const title = i === 0 ? `${titleOf(net)}, ${net.precision}` : '';
      return `| ${title} | ${engine} | ${significant(middle)} | ${speed.toFixed(1)} | ${ratio} |`;
    });
  });
  return [
    `${date.slice(0, 10)}, ${device}; ${about.join(', ')};`,
    `${commit === null ? 'not in a checkout' : `commit ${commit.slice(0, 10)}`}; one run at a time ([all figures](${file})):`,
    '',
    "|  |  | median ms | images/s | × resnode's time |",
    '| --- | --- | --: | --: | --: |',
    ...rows,
  ].join('\n');
}

function conditions(report: RecordedReport, file: string): string {
  const { date, commit, machine, settings, versions, sgemmGflops, bandwidth, othersCores } = report;
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const changed = commit?.endsWith('+') ? ' with changes' : '';
  const memory = bandwidth === null ? '' : `, memory ${bandwidth.toFixed(1)} GB/s`;
  const flag = ['avx512f', 'avx2', 'sve', 'asimd'].find((each) => machine.flags.includes(each));
  const widest = flag === undefined ? '' : ` with ${flag}`;
  return [
    `${date.slice(0, 10)}, ${machine.processor}${widest}, ${machine.cores} cores, ${machine.system};`,
    commit === null ? 'not in a checkout;' : `commit ${commit.slice(0, 10)}${changed};`,
    `${settings.threads} threads, ${settings.precision}, ${settings.rounds} rounds in turn; ${named.join(', ')};`,
    ...(UNCOMPARED.includes(report.schema) ? ['outputs were not compared;'] : []),
    `sgemm ${sgemmGflops.toFixed(0)} GFLOP/s${memory};`,
    `other processes took ${othersCores.mean.toFixed(2)} cores, ${othersCores.max.toFixed(2)} at worst ([all figures](${file}))`,
  ].join('\n');
}

function operations({ operations: found, sgemmGflops, bandwidth }: RecordedReport): string[] {
  if (found === null || bandwidth === null) return [];
  const shares = found.times.map((time) => shareOfPeak(time, { sgemmGflops, bandwidth }));
  const [least, middle, most] = [Math.min(...shares), median(shares), Math.max(...shares)].map(percent);
  return [
    `of ${shares.length} different operations, each by itself at batch ${found.batch}, half reach ${middle} or more of what binds them, sgemm or memory (the least ${least}, the most ${most})`,
  ];
}

interface Column {
  readonly head: string;
  /** Empty if it was not measured. A column that is empty in every row is left out. */
  readonly cell: (result: Result, own: Result, report: RecordedReport) => string;
}

const COLUMNS: readonly Column[] = [
  { head: 'median ms', cell: ({ quiet }) => significant(median(quiet.flat())) },
  {
    head: 'medians of the rounds',
    cell: ({ quiet }) => {
      const medians = quiet.map(median);
      return `${significant(Math.min(...medians))} to ${significant(Math.max(...medians))}`;
    },
  },
  { head: 'images/s', cell: ({ quiet, batch }) => imagesPerSecond(quiet, batch).toFixed(1) },
  { head: "× resnode's time", cell: (result, own) => ratio(result, own).toFixed(2) },
  { head: 'of sgemm', cell: (result, _, report) => percent(shareOfSgemm(result, report)) },
  {
    head: 'peak MB',
    cell: ({ peakBytes }) => (peakBytes === null ? '' : (peakBytes / 1e6).toFixed(0)),
  },
  {
    head: 'images/s beside a busy core',
    cell: ({ busy, batch }) => (busy === null ? '' : imagesPerSecond(busy, batch).toFixed(1)),
  },
  {
    head: 'disk to first answer, ms',
    cell: ({ firstAnswer }) => (firstAnswer.length === 0 ? '' : median(firstAnswer).toFixed(0)),
  },
  {
    head: 'event loop late, median ms',
    cell: ({ eventLoop }) => (eventLoop === null ? '' : eventLoop.median.toFixed(1)),
  },
];

function table(report: RecordedReport): string[] {
  const groups = groupsOf(report);
  const rows = groups.flatMap((group) => [...resultRows(group, report), ...caffeRows(group)]);
  const isSaid = (column: number) => column < 2 || rows.some((row) => row[column] !== '');
  const line = (cells: readonly string[]) => `| ${cells.filter((_, i) => isSaid(i)).join(' | ')} |`;
  const heads = ['', '', ...COLUMNS.map(({ head }) => head)];
  return [line(heads), line(heads.map((_, i) => (i < 2 ? '---' : '--:'))), ...rows.map(line)];
}

const resultRows = ({ title, results }: Group, report: RecordedReport): string[][] =>
  results.map((result, i) => [
    i === 0 ? title : '',
    result.engine,
    ...COLUMNS.map(({ cell }) => cell(result, results[0]!, report)),
  ]);

// There is no ratio to figures from another machine.
const caffeRows = ({ title, batch, results, caffe }: Group): string[][] =>
  caffe.map((figures, i) => {
    const milliseconds = caffeMilliseconds(figures);
    const { time, task, recordedOn } = figures;
    const what = `mean of ${task === 'forward' ? 'forward' : 'forward and backward'}`;
    const own = recordedOn === null ? results[0] : undefined;
    const cells = [
      significant(milliseconds),
      '',
      ((1000 * batch) / milliseconds).toFixed(1),
      own === undefined ? '' : (milliseconds / median(own.quiet.flat())).toFixed(2),
    ];
    return [
      results.length === 0 && i === 0 ? title : '',
      `Caffe (${[time.device, recordedOn, what].filter((part) => part !== null).join(', ')})`,
      ...COLUMNS.map((_, column) => cells[column] ?? ''),
    ];
  });

const percent = (share: number) => `${(100 * share).toFixed(0)}%`;
