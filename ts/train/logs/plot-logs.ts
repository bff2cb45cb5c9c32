/** The curves of several training runs as charts: losses, other outputs of the nets, and rates. */
import { basename } from 'node:path';
import type { Chart, Series } from '../../pages/chart.ts';
import { chartHtml, chartsScript, chartsStyle } from '../../pages/chart.ts';
import { escapeHtml, htmlPage } from '../../pages/html.ts';
import { Curve } from '../report/curve.ts';
import { REPORT_STYLE } from '../report/sections.ts';
import type { LogCurve, LogOutput, TrainingLog } from './read-training-log.ts';

/** The names of the logs' files, or their paths if two files have the same name. */
export function logNames(logs: readonly TrainingLog[]): string[] {
  const names = logs.map(({ file }) => basename(file));
  return new Set(names).size === names.length ? names : logs.map(({ file }) => file);
}

export function logCharts(logs: readonly TrainingLog[]): Chart[] {
  const names = logNames(logs);
  const of = (select: (log: TrainingLog) => readonly Series[]): Series[] =>
    logs.flatMap((log, i) =>
      select(log).map((series) => ({
        ...series,
        name: logs.length === 1 ? series.name : `${names[i]}: ${series.name}`,
      })),
    );
  const outputs = (log: TrainingLog, isLoss: boolean) =>
    log.outputs
      .filter((output) => output.isLoss === isLoss && (!isLoss || output.net !== null))
      .flatMap(seriesOfOutput);
  const losses = of((log) => [...seriesOf('training', 'line', log.loss), ...outputs(log, true)]);
  const others = of((log) => outputs(log, false));
  const rates = of((log) => seriesOf('rate', 'line', log.rate));
  return [
    chartOf('Loss', 'loss', losses),
    chartOf('Accuracy and other outputs', 'value', others),
    chartOf('Rate', 'rate', rates),
  ].filter(({ series }) => series.length > 0);
}

/** @param title Its heading. */
export function logsPage(charts: readonly Chart[], title: string): string {
  return htmlPage({
    title,
    style: `${chartsStyle()}${REPORT_STYLE}`,
    script: chartsScript(),
    body: `<h1>${escapeHtml(title)}</h1>\n<p class="lead">Each training by iteration.</p>\n<main>\n${charts.map(chartHtml).join('\n')}</main>`,
  });
}

function seriesOfOutput({ name, net, values }: LogOutput): Series[] {
  if (net === null) return seriesOf(`${name}, training`, 'line', values);
  return seriesOf(`${name}, tested${net === 0 ? '' : ` (net ${net})`}`, 'dotted line', values);
}

/** A series with at most as many points as a screen can show. */
function seriesOf(name: string, shape: Series['shape'], values: LogCurve): Series[] {
  if (values.length === 0) return [];
  const curve = new Curve();
  for (const [iteration, value] of values) curve.add(iteration, value);
  const points = curve.points();
  const merged = points.some(({ low, high }) => low !== high);
  return [
    {
      name,
      shape,
      points: points.map(({ x, mean, low, high }) => (merged ? [x, mean, low, high] : [x, mean])),
    },
  ];
}

function chartOf(title: string, label: string, series: readonly Series[]): Chart {
  const means = series.flatMap(({ points }) => points.map(([, mean]) => mean));
  const lows = series.flatMap(({ points }) => points.map((point) => point[2] ?? point[1]));
  const percent = label === 'value' && means.every((value) => value >= 0 && value <= 1);
  // Values that span more than a decade get a logarithmic axis.
  const log = !percent && Math.min(...lows) > 0 && Math.max(...means) / Math.min(...means) > 10;
  return { title, summary: summaryOf(series), x: { label: 'iteration' }, y: { label, percent, log }, series };
}

const summaryOf = (series: readonly Series[]): string =>
  series
    .map(({ name, points }) => {
      const [x, y] = points.at(-1)!;
      return `${name}: ${Number(y.toPrecision(4))} at iteration ${x}`;
    })
    .join('; ');
