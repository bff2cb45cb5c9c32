/** Compares two reports of the same kind of machine: what became faster or slower, and what is noise. */
import { ArgumentError } from '../../base/errors.ts';
import type { DeviceReport, OperationWay } from './device-report.ts';
import { type AnyReport, isDeviceReport, type RecordedReport } from './read-report.ts';
import { titleOf } from './report.ts';
import { median } from './statistics.ts';

/** A measurement that both reports contain. */
export interface Comparison {
  /** `ResNet-50, batch 1, resnode`, or an operation's name. */
  readonly name: string;
  /** Medians in milliseconds. */
  readonly before: number;
  readonly after: number;
  /** after / before. */
  readonly ratio: number;
  /** The ratio that noise alone can cause: the spread of the rounds' medians in both reports, at least 2%. */
  readonly noise: number;
  readonly verdict: 'faster' | 'slower' | 'same within noise';
}

export interface ReportComparison {
  readonly comparisons: readonly Comparison[];
  /** Reasons not to compare the two: other processors, other numbers of threads, a disturbed run. */
  readonly warnings: readonly string[];
}

/** @throws ArgumentError if the reports have no measurement in common, or one is of the CPU and the other of a GPU */
export function compareReports(before: AnyReport, after: AnyReport): ReportComparison {
  if (isDeviceReport(before) !== isDeviceReport(after))
    throw new ArgumentError(
      'reports',
      'two reports of the CPU, or two of a GPU',
      `${before.schema} and ${after.schema}`,
    );
  const [old, now] = [samplesOf(before), samplesOf(after)];
  const comparisons = [...old].flatMap(([name, rounds]) => {
    const others = now.get(name);
    return others === undefined ? [] : [compare(name, rounds, others)];
  });
  if (comparisons.length === 0)
    throw new ArgumentError(
      'reports',
      'two that measured the same net, batch size and engine',
      'none in common',
    );
  const warnings =
    isDeviceReport(before) && isDeviceReport(after)
      ? deviceWarnings(before, after)
      : processorWarnings(before as RecordedReport, after as RecordedReport);
  return { comparisons, warnings };
}

function processorWarnings(before: RecordedReport, after: RecordedReport): string[] {
  const warnings = [
    ...differing('processors', before.machine.processor, after.machine.processor),
    ...differing('thread counts', before.settings.threads, after.settings.threads),
  ];
  for (const [which, { othersCores }] of [
    ['first', before],
    ['second', after],
  ] as const)
    if (othersCores.max > 0.2)
      warnings.push(`other processes took up to ${othersCores.max.toFixed(2)} cores during the ${which} run`);
  const change = after.sgemmGflops / before.sgemmGflops;
  if (Math.abs(change - 1) > 0.1)
    warnings.push(
      `the machine itself changed: sgemm ${before.sgemmGflops.toFixed(0)} and ${after.sgemmGflops.toFixed(0)} GFLOP/s`,
    );
  return warnings;
}

// Two records may describe a machine in different fields. A field that only one of them has is not compared.
function deviceWarnings(before: DeviceReport, after: DeviceReport): string[] {
  const named = Object.keys(before.description).filter((name) => name in after.description);
  const warnings = [
    ...differing('GPUs', before.device, after.device),
    ...named.flatMap((name) => differing(name, before.description[name], after.description[name])),
  ];
  const [old, now] = [before.copyGigabytes, after.copyGigabytes];
  if (old !== null && now !== null && Math.abs(now / old - 1) > 0.1)
    warnings.push(`the machine itself changed: copy ${old.toFixed(0)} and ${now.toFixed(0)} GB/s`);
  return warnings;
}

const differing = (what: string, a: unknown, b: unknown): string[] =>
  a === b ? [] : [`${what} differ: ${a} and ${b}`];

type Rounds = readonly (readonly number[])[];

/** All measurements by name, in milliseconds. */
function samplesOf(report: AnyReport): Map<string, Rounds> {
  const samples = isDeviceReport(report) ? deviceSamples(report) : processorSamples(report);
  return new Map(samples.filter(([, rounds]) => rounds.length > 0));
}

const processorSamples = ({ results, operations }: RecordedReport): [string, Rounds][] => [
  ...results.map((result): [string, Rounds] => [`${titleOf(result)}, ${result.engine}`, result.quiet]),
  ...(operations?.times ?? []).map(({ name, milliseconds }): [string, Rounds] => [
    `${name}, batch ${operations!.batch}`,
    singly(milliseconds),
  ]),
];

function deviceSamples({ nets, shapes, batch, precision }: DeviceReport): [string, Rounds][] {
  return [
    ...nets.flatMap((net) => {
      const title = `${titleOf(net)}, ${net.precision}`;
      return [{ engine: 'resnode', ...net }, ...net.peers].flatMap((each): [string, Rounds][] => [
        [`${title}, ${each.engine}`, singly(each.milliseconds)],
        [`${title}, ${each.engine}, throughput`, singly(each.throughputMilliseconds ?? [])],
      ]);
    }),
    ...nets.map((net): [string, Rounds] => [
      `${titleOf(net)}, ${net.precision}, layer by layer`,
      singly(net.layerByLayer?.milliseconds ?? []),
    ]),
    ...shapes.flatMap(({ name, ways }) =>
      ways.map((way): [string, Rounds] => [
        `${name}, batch ${batch}, ${precision}, ${wayName(way)}`,
        singly(way.microseconds.map((each) => each / 1000)),
      ]),
    ),
  ];
}

// A fused convolution may use different candidates in two runs.
const wayName = ({ name }: OperationWay): string => (name.startsWith('fused: ') ? 'fused' : name);

const singly = (times: readonly number[]): Rounds => times.map((time) => [time]);

// Uses rounds instead of runs, because the runs of one process are not independent.
function compare(name: string, before: Rounds, after: Rounds): Comparison {
  const [old, now] = [median(before.flat()), median(after.flat())];
  const noise = Math.max(0.02, Math.hypot(spread(before), spread(after)));
  const ratio = now / old;
  const verdict = ratio > 1 + noise ? 'slower' : ratio < 1 / (1 + noise) ? 'faster' : 'same within noise';
  return { name, before: old, after: now, ratio, noise, verdict };
}

// Twice the median absolute deviation of the rounds' medians, relative to the median.
function spread(rounds: Rounds): number {
  const medians = rounds.map(median);
  const middle = median(medians);
  return (2 * median(medians.map((each) => Math.abs(each - middle)))) / middle;
}
