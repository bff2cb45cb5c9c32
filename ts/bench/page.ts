/** A report as one HTML page: plots and tables, no script, nothing from the network. */
import { escapeHtml, factsTable, htmlPage, numbersTable } from '../html.ts';
import { memoryChart, rooflineChart, throughputChart } from './charts.ts';
import { imagesPerSecond, ownResult, type Report, type Result, ratio, shareOfPeak } from './report.ts';
import { median } from './statistics.ts';

/** The page. Drawing takes about a second. */
export async function benchPage(report: Report): Promise<string> {
  const { machine, settings, versions, othersCores } = report;
  const groups = [
    ...new Map(report.results.map(({ net, batch }) => [`${net}, batch ${batch}`, { net, batch }])),
  ];
  const sections: string[] = [];
  for (const [title, { net, batch }] of groups)
    sections.push(
      section(
        title,
        `<figure>${await throughputChart(report, net, batch)}<figcaption>Bars are medians of ${settings.rounds} rounds, lines from the slowest round to the fastest.</figcaption></figure>
<figure>${await memoryChart(report, net, batch)}<figcaption>The whole process's resident memory at its highest, interpreter included.</figcaption></figure>
${resultTable(report, net, batch)}`,
      ),
    );
  if (report.caffe.length > 0) sections.push(section('Caffe', caffeTable(report)));
  if (report.operations !== null)
    sections.push(
      section(
        `Operations at batch ${report.operations.batch}`,
        `<figure>${await rooflineChart(report)}<figcaption>Each point is an operation of the nets; the line is what sgemm and memory bandwidth allow here. Winograd's algorithms multiply less often than the direct count, so they may lie above it.</figcaption></figure>
${operationTable(report)}`,
      ),
    );
  const facts: [string, string][] = [
    [
      'Machine',
      `${machine.processor}, ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB, ${machine.system}`,
    ],
    ['Instruction sets', machine.flags.join(' ')],
    ['Load before', `${machine.load.toFixed(2)}; governor ${machine.governor ?? 'not told'}`],
    [
      'Others',
      `other processes took ${othersCores.mean.toFixed(2)} cores on average, ${othersCores.max.toFixed(2)} at worst`,
    ],
    ['Threads, precision', `${settings.threads}, ${settings.precision}, the same for all`],
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
    style: STYLE,
    body: `<h1>resnode bench</h1>
<p class="lead">${escapeHtml(report.date.slice(0, 16).replace('T', ' '))} UTC, ${escapeHtml(machine.processor)}. Every measurement ran in a process of its own; engines took turns; outputs were compared before anything was timed.</p>
${othersCores.max > 0.2 ? '<p class="problem">Other processes were busy during this run; its figures are noisy.</p>\n' : ''}<main>
${sections.join('\n')}
${section('How it was measured', factsTable(facts))}
</main>`,
  });
}

function resultTable(report: Report, net: string, batch: number): string {
  const own = ownResult(report, net, batch)!;
  const share = ({ macs, quiet }: Result) => (2 * macs) / median(quiet.flat()) / 1e6 / report.sgemmGflops;
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
    ],
    report.results
      .filter((each) => each.net === net && each.batch === batch)
      .map((result) => {
        const times = result.quiet.flat();
        return [
          result.engine,
          imagesPerSecond(result.quiet, batch).toFixed(1),
          median(times).toFixed(2),
          Math.min(...times).toFixed(2),
          Math.max(...times).toFixed(2),
          percent(share(result)),
          median(result.firstAnswer).toFixed(0),
          result.peakBytes === null ? '' : (result.peakBytes / 1e6).toFixed(0),
          result.eventLoop === null ? '' : result.eventLoop.p99.toFixed(2),
          ratio(result, own).toFixed(2),
        ];
      }),
  );
}

function caffeTable({ caffe }: Report): string {
  return numbersTable(
    ['net', 'batch', 'forward ms', 'backward ms', 'device', 'where'],
    caffe.map(({ net, batch, time, recordedOn }) => [
      net,
      `${batch}`,
      time.averageForward.toFixed(1),
      time.averageBackward.toFixed(1),
      time.device ?? 'not said',
      recordedOn === null ? 'in this run' : `recorded on ${recordedOn}`,
    ]),
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
        time.implementation,
        time.nets.join(', '),
      ];
    }),
  );
}

const percent = (share: number) => `${(100 * share).toFixed(0)}%`;
const section = (title: string, body: string) =>
  `<section><h2>${escapeHtml(title)}</h2>\n${body}\n</section>`;

const STYLE = `
:root { --text: #1c1d22; --muted: #5d606b; --line: #e6e7ec; --edge: #b9bcc6; --back: #fff;
  --first: #2864c7; --second: #c2571a; --third: #2c8a57; --fourth: #8a4fbf }
@media (prefers-color-scheme: dark) { :root { --text: #e9eaf0; --muted: #a3a6b3; --line: #2c2e37; --edge: #4a4d5a;
  --back: #16171c; --first: #7aa7f5; --second: #f09a5f; --third: #6ac597; --fourth: #c29bea } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.5rem 0 0.5rem }
.lead, figcaption { color: var(--muted) } figcaption { font-size: 0.85rem }
figure { margin: 1rem 0 } figure svg { width: 100%; max-width: 44rem; height: auto }
.problem { border-left: 4px solid var(--second); padding-left: 0.75rem }
table { border-collapse: collapse; font-size: 0.85rem } th, td { text-align: left; padding: 0.25rem 0.75rem 0.25rem 0; vertical-align: top }
tr { border-bottom: 1px solid var(--line) } .numbers td:not(:first-child) { font-variant-numeric: tabular-nums } .scroll { overflow-x: auto }
`;
