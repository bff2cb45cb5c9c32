/** The curves of a training. */
import type { TopLevelSpec } from 'vega-lite';
import { CHART_COLOURS, CHART_STYLE, drawSvg } from '../pages/draw-svg.ts';
import type { CurvePoint } from './curve.ts';
import type { ReportData } from './report-data.ts';

export interface Chart {
  readonly title: string;
  /** What it says in a sentence, for who does not see it. */
  readonly summary: string;
  readonly svg: string;
}

type Layer = Extract<TopLevelSpec, { layer: unknown }>['layer'][number];

/** One row of a chart. */
interface Row {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
  readonly series: string;
}

interface Drawing {
  readonly title: string;
  readonly unit: string;
  readonly rows: readonly Row[];
  /** Points on the line, for few values. */
  readonly dots: boolean;
  readonly percent?: boolean;
  readonly zero: boolean;
  /** The axis goes at least so far. */
  readonly most?: number;
}

/** Loss, accuracy, rate, throughput, and the share of waiting; those without a value are left out. */
export async function drawCharts(data: ReportData): Promise<Chart[]> {
  const { curves, tests } = data;
  const tested = (wanted: (lossWeight: number) => boolean): Row[] =>
    tests.flatMap(({ iteration, net, outputs }) =>
      outputs
        .filter(({ lossWeight, values }) => wanted(lossWeight) && values.length === 1)
        .filter(({ values }) => Number.isFinite(values[0]))
        .map(({ name, values }) => ({
          x: iteration,
          y: values[0]!,
          series: `${name}, tested${net === 0 ? '' : ` (net ${net})`}`,
        })),
    );
  const loss = [...rowsOf(curves.loss, 'training'), ...tested((weight) => weight !== 0)];
  const accuracy = tested((weight) => weight === 0);
  const drawings: Drawing[] = [
    { title: 'Loss', unit: 'loss', rows: loss, dots: false, zero: true },
    {
      title: 'Accuracy',
      unit: 'accuracy',
      rows: accuracy,
      dots: true,
      percent: accuracy.every(({ y }) => y >= 0 && y <= 1),
      zero: false,
    },
    { title: 'Rate', unit: 'rate', rows: rowsOf(curves.rate, 'rate'), dots: false, zero: true },
    {
      title: 'Throughput',
      unit: 'images a second',
      rows: rowsOf(curves.throughput, 'images a second'),
      dots: false,
      zero: true,
    },
    {
      title: 'Waiting for data',
      unit: 'share of the time',
      rows: rowsOf(curves.waiting, 'waiting'),
      dots: false,
      percent: true,
      zero: true,
      most: 0.1,
    },
  ];
  const charts: Chart[] = [];
  for (const drawing of drawings) if (drawing.rows.length > 0) charts.push(await draw(drawing));
  return charts;
}

const rowsOf = (points: readonly CurvePoint[], series: string): Row[] =>
  points.map(({ x, mean, low, high }) => ({ x, y: mean, low, high, series }));

async function draw(drawing: Drawing): Promise<Chart> {
  const svg = await drawSvg(specification(drawing), `role="img" aria-label="${drawing.title}"`);
  return { title: drawing.title, summary: summaryOf(drawing), svg };
}

const seriesOf = (rows: readonly Row[]) => [...new Set(rows.map(({ series }) => series))];

function specification({ unit, rows, dots, percent = false, zero, most: reach }: Drawing): TopLevelSpec {
  const series = seriesOf(rows);
  // A loss falls over decades; equal ratios then deserve equal heights.
  const values = rows.map(({ y }) => y);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const isLog = unit === 'loss' && least > 0 && most / least > 30;
  const x = { field: 'x', type: 'quantitative', title: 'iteration', axis: { format: '~s' } } as const;
  const y = {
    type: 'quantitative',
    title: unit,
    scale: isLog
      ? { type: 'log' as const }
      : { zero, ...(reach !== undefined && most < reach ? { domainMax: reach } : {}) },
    axis: {
      format: percent ? '~%' : unit === 'images a second' ? '~s' : '~g',
      ...(isLog ? { tickCount: 3 } : {}),
    },
  } as const;
  const color = {
    field: 'series',
    type: 'nominal',
    title: null,
    scale: { domain: series, range: CHART_COLOURS.slice(0, Math.max(series.length, 1)) },
    legend: series.length > 1 ? { orient: 'top' } : null,
  } as const;
  const band = rows.some(
    ({ y: mean, low = mean, high = mean }) => low !== high && unit === 'loss' && low > 0,
  );
  const extremes: Layer = {
    transform: [{ filter: 'isValid(datum.low)' }],
    mark: { type: 'area', opacity: 0.18 },
    encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
  };
  return {
    width: 560,
    height: 220,
    data: { values: rows as Row[] },
    layer: [
      ...(band ? [extremes] : []),
      {
        mark: { type: 'line', strokeWidth: 2, ...(dots || rows.length === 1 ? { point: { size: 36 } } : {}) },
        encoding: { x, y: { ...y, field: 'y' }, color },
      },
    ],
    config: {
      ...CHART_STYLE,
      axis: { ...CHART_STYLE.axis, labelFontSize: 12, titleFontSize: 12 },
      legend: { ...CHART_STYLE.legend, labelFontSize: 12, symbolOpacity: 1, symbolType: 'stroke' },
    },
  };
}

function summaryOf({ unit, rows, percent = false }: Drawing): string {
  const show = (value: number) =>
    percent ? `${(100 * value).toFixed(2)}%` : `${Number(value.toPrecision(4))}`;
  return seriesOf(rows)
    .map((series) => {
      const own = rows.filter((row) => row.series === series);
      const [first, last] = [own[0]!, own.at(-1)!];
      const name = series === unit || rows.length === own.length ? '' : `${series}: `;
      return own.length === 1
        ? `${name}${show(first.y)} at iteration ${first.x}`
        : `${name}${show(first.y)} at iteration ${first.x}, ${show(last.y)} at iteration ${last.x}`;
    })
    .join('; ');
}
