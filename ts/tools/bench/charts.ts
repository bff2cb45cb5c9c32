/** The plots of a report. */
import type { TopLevelSpec } from 'vega-lite';
import { CHART_COLOURS, CHART_STYLE, drawSvg } from '../../pages/draw-svg.ts';
import { type Group, imagesPerSecond, type Report, type Result, shareOfPeak } from './report.ts';
import { median } from './statistics.ts';

const draw = (spec: TopLevelSpec) => drawSvg({ ...spec, config: STYLE });

const STYLE: NonNullable<TopLevelSpec['config']> = {
  ...CHART_STYLE,
  axis: { ...CHART_STYLE.axis, labelLimit: 400 },
  header: { labelColor: 'var(--text)', labelFontWeight: 'bold', titleColor: 'var(--text)' },
  legend: { ...CHART_STYLE.legend, titleColor: 'var(--muted)' },
};

/** What is drawn of one net at one batch size. */
interface Throughput {
  readonly batch: number;
  readonly results: readonly Pick<Result, 'engine' | 'quiet' | 'busy'>[];
}

/** Images a second of every engine on a net at a batch size: the median, and from the slowest to the fastest round. */
export function throughputChart({ results, batch }: Throughput): Promise<string> {
  const values = results.flatMap(({ engine, quiet, busy }) =>
    (busy === null
      ? [['quiet', quiet] as const]
      : [['quiet', quiet] as const, ['beside a busy core', busy] as const]
    ).map(([load, rounds]) => {
      const speeds = rounds.map((round) => imagesPerSecond([round], batch));
      return {
        engine,
        load,
        speed: imagesPerSecond(rounds, batch),
        low: Math.min(...speeds),
        high: Math.max(...speeds),
      };
    }),
  );
  const loads = [...new Set(values.map(({ load }) => load))];
  const x = { type: 'quantitative', title: 'images a second' } as const;
  const y = {
    field: 'engine',
    type: 'nominal',
    title: null,
    sort: results.map(({ engine }) => engine),
  } as const;
  const yOffset = { field: 'load', sort: loads } as const;
  return draw({
    width: 520,
    height: { step: loads.length > 1 ? 20 : 30 },
    data: { values },
    layer: [
      {
        mark: { type: 'bar', cornerRadiusEnd: 3 },
        encoding: {
          x: { ...x, field: 'speed', scale: { zero: true } },
          y,
          yOffset,
          color: {
            field: 'load',
            type: 'nominal',
            title: null,
            scale: { domain: loads, range: CHART_COLOURS.slice(0, loads.length) },
            legend: loads.length > 1 ? { orient: 'top' } : null,
          },
        },
      },
      {
        mark: { type: 'rule', strokeWidth: 2, stroke: 'var(--text)' },
        encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y, yOffset },
      },
    ],
  });
}

/** Peak memory and the time to the first answer are told by tables; this draws memory over engines. */
export function memoryChart({ results }: Group): Promise<string> {
  const values = results
    .filter(({ peakBytes }) => peakBytes !== null)
    .map(({ engine, peakBytes }) => ({ engine, megabytes: peakBytes! / 1e6 }));
  return draw({
    width: 520,
    height: { step: 30 },
    data: { values },
    mark: { type: 'bar', cornerRadiusEnd: 3 },
    encoding: {
      x: { field: 'megabytes', type: 'quantitative', title: 'MB at most' },
      y: { field: 'engine', type: 'nominal', title: null, sort: values.map(({ engine }) => engine) },
      color: { value: 'var(--third)' },
    },
  });
}

/** The roofline: GFLOP/s over arithmetic intensity, every operation a point under the machine's two limits. */
export function rooflineChart(report: Report): Promise<string> {
  const points = report
    .operations!.times.filter(({ macs }) => macs > 0)
    .map((time) => ({
      intensity: (2 * time.macs) / time.bytes,
      gflops: (2 * time.macs) / median(time.milliseconds) / 1e6,
      name: `${time.name}: ${(100 * shareOfPeak(time, report)).toFixed(0)}%`,
    }));
  const { bandwidth, sgemmGflops } = report;
  const [least, most] = [0.25, Math.max(256, ...points.map(({ intensity }) => intensity)) * 1.5];
  const roof = [least, sgemmGflops / bandwidth, most].map((intensity) => ({
    intensity,
    gflops: Math.min(sgemmGflops, intensity * bandwidth),
  }));
  const x = {
    field: 'intensity',
    type: 'quantitative',
    title: 'operations a byte',
    scale: { type: 'log', domain: [least, most] as number[] },
  } as const;
  const y = { field: 'gflops', type: 'quantitative', title: 'GFLOP/s', scale: { type: 'log' } } as const;
  return draw({
    width: 640,
    height: 320,
    layer: [
      {
        data: { values: roof },
        mark: { type: 'line', stroke: 'var(--second)', strokeWidth: 2 },
        encoding: { x, y },
      },
      {
        data: { values: points },
        mark: { type: 'point', filled: true, size: 50, fill: 'var(--first)', opacity: 0.8 },
        encoding: { x, y, tooltip: { field: 'name' } },
      },
    ],
  });
}
