/** The report of a training as one HTML page: tables and curves, without network access. */
import { causeOf, groupBy } from '../../base/group-alike.ts';
import { chartHtml, chartsScript, chartsStyle } from '../../pages/chart.ts';
import { escapeHtml, htmlPage, numbersTable } from '../../pages/html.ts';
import { formatDuration } from '../pace.ts';
import { reportCharts } from './charts.ts';
import type { ReportData, ReportSection } from './data.ts';
import { REPORT_STYLE, sectionHtml } from './sections.ts';

type Rows = ReportSection['rows'];

/** @param title A part of the page's heading, e.g. the net's name. */
export function reportPage(data: ReportData, title: string): string {
  const charts = reportCharts(data);
  const sections: ReportSection[] = [
    { title: 'Result', rows: resultOf(data) },
    ...data.sections.filter(({ leads }) => leads !== true),
    { title: 'Training', rows: trainingOf(data, title) },
    { title: 'BatchNorm', rows: batchNormsOf(data) },
    { title: 'Snapshots', rows: data.snapshots.map(({ iteration, weights }) => [`${iteration}`, weights]) },
  ];
  const leading = data.sections.filter(({ leads }) => leads === true);
  const hasCharts = charts.length > 0 || data.sections.some((section) => (section.charts ?? []).length > 0);
  const problems = [
    ...(data.diverged === null ? [] : [data.diverged.message]),
    ...(data.done === null ? ['The training ended with an error before its last iteration.'] : []),
    ...groupBy(data.warnings, ({ code, message }) => `${code} ${causeOf(message)}`).map(
      ([first, ...others]) =>
        `${first!.message}${others.length === 0 ? '' : ` (and ${others.length} more of this kind)`}`,
    ),
  ];
  return htmlPage({
    title: `${title}: training`,
    style: `${hasCharts ? chartsStyle() : ''}${REPORT_STYLE}`,
    ...(hasCharts ? { script: chartsScript() } : {}),
    body: `<h1>${escapeHtml(title)}</h1>
<p class="lead">${escapeHtml(leadOf(data))}</p>
${problems.map((text) => `<p class="problem">${escapeHtml(text)}</p>\n`).join('')}<main>
${leading.map(sectionHtml).join('')}${charts.map(chartHtml).join('\n')}${testTable(data)}${sections.map(sectionHtml).join('')}</main>`,
  });
}

function testTable({ tests }: ReportData): string {
  const single = tests.map(({ iteration, net, seconds, outputs }) => ({
    iteration,
    net,
    seconds,
    outputs: outputs.filter(({ values }) => values.length === 1),
  }));
  if (single.length === 0) return '';
  const names = [...new Set(single.flatMap(({ outputs }) => outputs.map(({ name }) => name)))];
  const severalNets = single.some(({ net }) => net !== 0);
  const head = ['iteration', ...(severalNets ? ['net'] : []), ...names, 'seconds'];
  const rows = single.map(({ iteration, net, seconds, outputs }) => [
    `${iteration}`,
    ...(severalNets ? [`${net}`] : []),
    ...names.map((name) => {
      const value = outputs.find((output) => output.name === name)?.values[0];
      return value === undefined ? '' : value.toFixed(4);
    }),
    seconds.toFixed(1),
  ]);
  return `<section><h2>Tests</h2>${numbersTable(head, rows)}</section>\n`;
}

/** The result, and how long it took. */
function leadOf({ start, done, tests }: ReportData): string {
  if (start === null) return 'Nothing was trained.';
  if (done === null) return `Trained on ${start.device}.`;
  const scores = (tests.at(-1)?.outputs ?? []).flatMap(({ name, values, lossWeight }) =>
    lossWeight === 0 && values.length === 1 ? [`${name} ${values[0]!.toFixed(4)}`] : [],
  );
  const result = scores.length === 0 ? '' : ` Last test: ${scores.join(', ')}.`;
  return `Trained for ${formatDuration(done.seconds)} on ${start.device}.${result}`;
}

/** What charts, tests and snapshots do not show. */
function resultOf({ done }: ReportData): Rows {
  if (done === null) return [];
  return [
    ['ended', `${done.reason}, after ${done.iteration.toLocaleString('en')} iterations`],
    ...(done.smoothedLoss === null ? [] : [['training loss', done.smoothedLoss.toFixed(4)] as const]),
    ['images per second', done.imagesPerSecond.toFixed(1)],
    ['waiting for data', `${(100 * done.waiting).toFixed(1)}% of the time`],
  ];
}

function trainingOf({ start }: ReportData, title: string): Rows {
  if (start === null) return [];
  const { net, solver, rule, policy, warmup, iteration, maxIterations } = start;
  const { batch, samplesPerIteration, epochSize, learnable, seed, loaded, filled } = start;
  const epochs = epochSize === null ? null : ((maxIterations - iteration) * samplesPerIteration) / epochSize;
  return [
    ...(net === title ? [] : [['net', net] as const]),
    ...(solver === null ? [] : [['solver', solver] as const]),
    ['update', rule],
    [
      'rate',
      `${policy}${warmup === null ? '' : `, warm-up of ${warmup.iterations} iterations at ${warmup.rate}`}`,
    ],
    [
      'iterations',
      `${iteration} to ${maxIterations}${epochs === null ? '' : `, ${epochs.toFixed(1)} epochs`}`,
    ],
    ['batch', samplesPerIteration === batch ? `${batch}` : `${samplesPerIteration} in passes of ${batch}`],
    ['learned values', learnable.toLocaleString('en')],
    ['seed', `${seed}`],
    ['layers from files', `${loaded.length}`],
    ['layers from fillers', `${filled.length}`],
  ];
}

function batchNormsOf({ start }: ReportData): Rows {
  const counts = new Map<string, number>();
  for (const { statistics, reason } of start?.batchNorms ?? []) {
    const key = `${statistics} statistics (${reason})`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => [name, `${count} layers`]);
}
