/** The plots of a report. */
import type { Bars } from '../../pages/bars.ts';
import type { Chart, ChartPoint } from '../../pages/chart.ts';
import { type Group, imagesPerSecond, type Report, type Result, shareOfPeak } from './report.ts';
import { median } from './statistics.ts';

/** The figures to plot for one net at one batch size. */
interface Throughput {
  readonly batch: number;
  readonly results: readonly Pick<Result, 'engine' | 'quiet' | 'busy'>[];
}

/**
 * Images per second of every engine on a net at a batch size: the median, and the range from the slowest to the fastest
 * round.
 */
export function throughputBars({ results, batch }: Throughput): Bars {
  const bar = (rounds: readonly (readonly number[])[], series: number) => {
    const speeds = rounds.map((round) => imagesPerSecond([round], batch));
    return {
      value: imagesPerSecond(rounds, batch),
      range: [Math.min(...speeds), Math.max(...speeds)] as const,
      series,
    };
  };
  return {
    unit: 'images per second',
    series: results.some(({ busy }) => busy !== null) ? ['quiet', 'beside a busy core'] : ['quiet'],
    rows: results.map(({ engine, quiet, busy }) => ({
      name: engine,
      bars: [bar(quiet, 0), ...(busy === null ? [] : [bar(busy, 1)])],
    })),
    digits: 1,
  };
}

/** The peak of resident memory. */
export const memoryBars = ({ results }: Pick<Group, 'results'>): Bars => ({
  unit: 'MB at most',
  series: ['memory'],
  rows: results
    .filter(({ peakBytes }) => peakBytes !== null)
    .map(({ engine, peakBytes }) => ({ name: engine, bars: [{ value: peakBytes! / 1e6, series: 2 }] })),
  digits: 0,
});

/** The roofline: GFLOP/s against arithmetic intensity. Every operation is a point below the machine's two limits. */
export function rooflineChart(report: Report): Chart {
  const times = report.operations!.times.filter(({ macs }) => macs > 0);
  const points = times.map((time): ChartPoint => {
    const intensity = (2 * time.macs) / time.bytes;
    return [intensity, (2 * time.macs) / median(time.milliseconds) / 1e6];
  });
  const { bandwidth, sgemmGflops } = report;
  const [least, most] = [0.25, Math.max(256, ...points.map(([intensity]) => intensity))];
  const roof = [least, sgemmGflops / bandwidth, most].map(
    (intensity): ChartPoint => [intensity, Math.min(sgemmGflops, intensity * bandwidth)],
  );
  return {
    title: null,
    summary:
      "Each point is an operation of the nets; the line is what sgemm and memory bandwidth allow here. Winograd's algorithms multiply less often than the direct count, so they may be above it.",
    x: { label: 'operations per byte', log: true },
    y: { label: 'GFLOP/s', log: true },
    series: [
      {
        name: 'operation',
        shape: 'points',
        points,
        labels: times.map(
          (time) => `${time.name}: ${(100 * shareOfPeak(time, report)).toFixed(0)}% of its limit`,
        ),
      },
      { name: 'limit', shape: 'line', points: roof },
    ],
  };
}
