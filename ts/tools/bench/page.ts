/** A report as one HTML page with plots and tables. It loads nothing from the network. */
import { barsHtml } from '../../pages/bars.ts';
import { chartHtml, chartsScript, chartsStyle } from '../../pages/chart.ts';
import { escapeHtml, factsTable, htmlPage, numbersTable } from '../../pages/html.ts';
import { memoryBars, rooflineChart, throughputBars } from './charts.ts';
import { type Section, STYLE, sectionsHtml, summaryTable } from './page-parts.ts';
import {
  type CaffeFigures,
  caffeMilliseconds,
  candidatesText,
  type Group,
  groupsOf,
  imagesPerSecond,
  type Report,
  type Result,
  ratio,
  shareOfPeak,
  shareOfSgemm,
} from './report.ts';
import { median } from './statistics.ts';

export function benchPage(report: Report): string {
  const { machine, settings, versions, othersCores } = report;
  const groups = groupsOf(report);
  const sections: Section[] = [];
  for (const group of groups) {
    const parts = group.results.length === 0 ? [] : figures(group, settings.rounds);
    const body = [...parts, resultTable(report, group), ...notes(group)].join('\n');
    sections.push({ title: group.title, body });
  }
  if (report.operations !== null)
    sections.push({
      title: `Operations at batch ${report.operations.batch}`,
      body: `${chartHtml(rooflineChart(report))}\n${operationTable(report)}`,
    });
  const facts: [string, string][] = [
    [
      'Machine',
      `${machine.processor}, ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB, ${machine.system}`,
    ],
    ['Instruction sets', machine.flags.join(' ')],
    ['Load before', `${machine.load.toFixed(2)}; governor ${machine.governor ?? 'unknown'}`],
    [
      'Others',
      `other processes took ${othersCores.mean.toFixed(2)} cores on average, ${othersCores.max.toFixed(2)} at worst`,
    ],
    ['Threads, precision', `${settings.threads}, ${settings.precision}`],
    [
      'Limits measured',
      `sgemm ${report.sgemmGflops.toFixed(0)} GFLOP/s, memory ${report.bandwidth.toFixed(1)} GB/s`,
    ],
    [
      'Versions',
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ],
    ['Absent', report.absent.map(({ engine, reason }) => `${engine}: ${reason}`).join('; ') || 'nobody'],
    ['Commit', report.commit ?? 'not in a checkout'],
  ];
  return htmlPage({
    title: `resnode bench, ${report.date.slice(0, 10)}`,
    style: `${report.operations === null ? '' : chartsStyle()}${STYLE}`,
    ...(report.operations === null ? {} : { script: chartsScript() }),
    body: `<h1>resnode bench</h1>
<p class="lead">${escapeHtml(report.date.slice(0, 16).replace('T', ' '))} UTC, ${escapeHtml(machine.processor)}. Every measurement ran in a process of its own; engines took turns; outputs were compared before anything was timed.</p>
${othersCores.max > 0.2 ? '<p class="problem">Other processes were busy during this run; its figures are noisy.</p>\n' : ''}${summaryTable(groups.map(summaryOf))}
${sectionsHtml([...sections, { title: 'How it was measured', body: factsTable(facts) }])}`,
  });
}

const summaryOf = ({ title, batch, results }: Group) => ({
  title,
  speeds: new Map(results.map(({ engine, quiet }) => [engine, imagesPerSecond(quiet, batch)])),
});

function figures(group: Group, rounds: number): string[] {
  return [
    `<div class="figures"><figure>${barsHtml(throughputBars(group))}<figcaption>Bars are medians of ${rounds} rounds, lines from the slowest round to the fastest.</figcaption></figure>`,
    `<figure>${barsHtml(memoryBars(group))}<figcaption>The whole process's resident memory at its highest, interpreter included.</figcaption></figure></div>`,
  ];
}

function notes({ task, caffe }: Group): string[] {
  const lines = [
    ...(task === 'training' ? ['A step is forward, loss, backward and update.'] : []),
    ...(caffe.length === 0
      ? []
      : [
          `Caffe's figures are means of <code>caffe time</code>${task === 'training' ? ', forward and backward without an update' : ', which also runs backward; the comparison uses its forward pass'}.`,
        ]),
  ];
  return lines.length === 0 ? [] : [`<p class="lead">${lines.join(' ')}</p>`];
}

function resultTable(report: Report, { task, batch, results, caffe }: Group): string {
  const own = results[0];
  const ofResult = (result: Result): string[] => {
    const times = result.quiet.flat();
    return [
      result.engine,
      imagesPerSecond(result.quiet, batch).toFixed(1),
      median(times).toFixed(2),
      Math.min(...times).toFixed(2),
      Math.max(...times).toFixed(2),
      percent(shareOfSgemm(result, report)),
      result.firstAnswer.length === 0 ? '' : median(result.firstAnswer).toFixed(0),
      result.peakBytes === null ? '' : (result.peakBytes / 1e6).toFixed(0),
      result.eventLoop === null ? '' : result.eventLoop.p99.toFixed(2),
      ratio(result, own!).toFixed(2),
    ];
  };
  const ofCaffe = (figures: CaffeFigures): string[] => {
    const { time, recordedOn } = figures;
    const milliseconds = caffeMilliseconds(figures);
    // The iterations' own times contain forward and backward.
    const ends = task === 'training' ? [Math.min, Math.max].map((end) => end(...time.forwardBackward)) : [];
    const isHere = recordedOn === null && own !== undefined;
    return [
      `Caffe (${time.device ?? 'unknown device'}), ${recordedOn === null ? 'in this run' : `recorded on ${recordedOn}`}`,
      ((1000 * batch) / milliseconds).toFixed(1),
      milliseconds.toFixed(2),
      ends[0]?.toFixed(2) ?? '',
      ends[1]?.toFixed(2) ?? '',
      ...['', '', '', ''],
      isHere ? (milliseconds / median(own.quiet.flat())).toFixed(2) : '',
      time.averageForward.toFixed(1),
      time.averageBackward.toFixed(1),
    ];
  };
  const rows = [...results.map(ofResult), ...caffe.map(ofCaffe)];
  return numbersTable(
    [
      'engine',
      'images/s',
      'median ms',
      'least',
      'most',
      'of sgemm',
      'first answer ms',
      'peak MB',
      'event loop p99 ms',
      "time over resnode's",
      ...(caffe.length === 0 ? [] : ['forward ms', 'backward ms']),
    ],
    rows,
  );
}

function operationTable(report: Report): string {
  return numbersTable(
    ['operation', 'median ms', 'GFLOP/s', 'GB/s', 'of its limit', 'implementation', 'in'],
    report.operations!.times.map((time) => {
      const milliseconds = median(time.milliseconds);
      return [
        time.name,
        milliseconds.toFixed(3),
        time.macs === 0 ? '' : ((2 * time.macs) / milliseconds / 1e6).toFixed(0),
        (time.bytes / milliseconds / 1e6).toFixed(1),
        percent(shareOfPeak(time, report)),
        candidatesText(time),
        time.nets.join(', '),
      ];
    }),
  );
}

const percent = (share: number) => `${(100 * share).toFixed(0)}%`;
