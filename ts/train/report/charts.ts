/** The charts of a training. */
import type { Axis, Chart, ChartPoint, Series } from '../../pages/chart.ts';
import type { CurvePoint } from './curve.ts';
import type { ReportData } from './data.ts';

/** Loss, accuracy, rate, throughput, and the share of waiting; curves without a value are omitted. */
export function reportCharts({ curves, tests }: ReportData): Chart[] {
  const tested = (isSelected: (lossWeight: number) => boolean): Series[] => {
    const series = new Map<string, ChartPoint[]>();
    for (const { iteration, net, outputs } of tests)
      for (const { name, values, lossWeight } of outputs) {
        if (!isSelected(lossWeight) || values.length !== 1 || !Number.isFinite(values[0])) continue;
        const title = `${name}, tested${net === 0 ? '' : ` (net ${net})`}`;
        series.set(title, [...(series.get(title) ?? []), [iteration, values[0]!]]);
      }
    return [...series].map(([name, points]) => ({ name, shape: 'dotted line', points }));
  };
  const accuracy = tested((weight) => weight === 0);
  return [
    chartOf('Loss', { label: 'loss', zero: true }, [
      ...lineOf('training', curves.loss),
      ...tested((weight) => weight !== 0),
    ]),
    chartOf('Accuracy', { label: 'accuracy', percent: valuesOf(accuracy).every(isShare) }, accuracy),
    chartOf('Rate', { label: 'rate', zero: true }, lineOf('rate', curves.rate)),
    chartOf(
      'Throughput',
      { label: 'images per second', zero: true },
      lineOf('images per second', curves.throughput),
    ),
    chartOf(
      'Waiting for data',
      { label: 'share of the time', percent: true, zero: true, reach: 0.1 },
      lineOf('waiting', curves.waiting),
    ),
  ].filter(({ series }) => series.length > 0);
}

/** A curve; its points have extremes if they are means of several values. */
function lineOf(name: string, points: readonly CurvePoint[]): Series[] {
  if (points.length === 0) return [];
  const merged = points.some(({ low, high }) => low !== high);
  return [
    {
      name,
      shape: 'line',
      points: points.map(({ x, mean, low, high }) => (merged ? [x, mean, low, high] : [x, mean])),
    },
  ];
}

const valuesOf = (series: readonly Series[]) => series.flatMap(({ points }) => points.map(([, y]) => y));
const isShare = (value: number) => value >= 0 && value <= 1;

function chartOf(title: string, y: Axis, series: readonly Series[]): Chart {
  // A loss or rate that falls by orders of magnitude would touch the axis at its end, so it gets a logarithmic axis.
  const values = series.flatMap(({ points }) => points.flatMap(([, ...values]) => values));
  const log = y.percent !== true && Math.min(...values) > 0 && ratioOf(valuesOf(series)) > 10;
  return {
    title,
    summary: summaryOf(y, series),
    x: { label: 'iteration' },
    y: log ? { ...y, log } : y,
    series,
  };
}

const ratioOf = (values: readonly number[]) => Math.max(...values) / Math.min(...values);

function summaryOf({ label, percent = false }: Axis, series: readonly Series[]): string {
  const show = (value: number) =>
    percent ? `${(100 * value).toFixed(2)}%` : `${Number(value.toPrecision(4))}`;
  return series
    .map(({ name: own, points }) => {
      const [first, last] = [points[0]!, points.at(-1)!];
      const name = own === label || series.length === 1 ? '' : `${own}: `;
      const begin = `${name}${show(first[1])} at iteration ${first[0]}`;
      return points.length === 1 ? begin : `${begin}, ${show(last[1])} at iteration ${last[0]}`;
    })
    .join('; ');
}
