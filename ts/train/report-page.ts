/** A training's report as one HTML page: tables and curves, nothing from the network. */
import { causeOf, groupBy } from '../base/group-alike.ts';
import { chartHtml, chartsScript, chartsStyle } from '../pages/chart.ts';
import { escapeHtml, factsTable, htmlPage, numbersTable } from '../pages/html.ts';
import { formatDuration } from './pace.ts';
import { reportCharts } from './report-charts.ts';
import type { ConfusionMatrix, ReportData, ReportPicture, ReportSection } from './report-data.ts';

type Rows = ReportSection['rows'];

/** @param title In the page's heading, e.g. the net's name. */
export function reportPage(data: ReportData, title: string): string {
  const charts = reportCharts(data);
  const sections: ReportSection[] = [
    { title: 'Result', rows: resultOf(data) },
    ...data.sections,
    { title: 'Training', rows: trainingOf(data, title) },
    { title: 'BatchNorm', rows: batchNormsOf(data) },
    { title: 'Snapshots', rows: data.snapshots.map(({ iteration, weights }) => [`${iteration}`, weights]) },
  ];
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
    style: `${charts.length > 0 ? chartsStyle() : ''}${REPORT_STYLE}`,
    ...(charts.length > 0 ? { script: chartsScript() } : {}),
    body: `<h1>${escapeHtml(title)}</h1>
<p class="lead">${escapeHtml(leadOf(data))}</p>
${problems.map((text) => `<p class="problem">${escapeHtml(text)}</p>\n`).join('')}<main>
${charts.map(chartHtml).join('\n')}${testTable(data)}${sections.map(sectionOf).join('')}</main>`,
  });
}

function sectionOf({ title, rows, confusions, pictures = [] }: ReportSection): string {
  const parts = [
    ...(rows.length === 0 ? [] : [factsTable(rows)]),
    ...(confusions === undefined ? [] : [confusionTable(confusions)]),
    ...(pictures.length === 0 ? [] : [`<div class="pictures">${pictures.map(pictureOf).join('')}</div>`]),
  ];
  return parts.length === 0 ? '' : `<section><h2>${escapeHtml(title)}</h2>${parts.join('')}</section>\n`;
}

/** True classes down, what they were taken for across; a cell is as dark as its share of the class. */
function confusionTable({ labels, counts }: ConfusionMatrix): string {
  const head = labels.map((label) => `<th scope="col"><span>${escapeHtml(label)}</span></th>`);
  const rows = counts.map((row, label) => {
    const total = row.reduce((sum, count) => sum + count, 0) || 1;
    const cells = row.map((count, other) => {
      const shade = `style="--share:${((100 * count) / total).toFixed(0)}%"`;
      return `<td class="${label === other ? 'right' : 'wrong'}" ${shade}>${count === 0 ? '' : count}</td>`;
    });
    return `<tr><th scope="row">${escapeHtml(labels[label]!)}</th>${cells.join('')}</tr>`;
  });
  return `<div class="across"><table class="confusions"><caption>rows: what images are; columns: what they were taken for</caption><thead><tr><td></td>${head.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

const pictureOf = ({ jpeg, caption }: ReportPicture) =>
  `<div><img src="data:image/jpeg;base64,${jpeg}" alt=""><p>${escapeHtml(caption)}</p></div>`;

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

/** What was found, and how long it took. */
function leadOf({ start, done, tests }: ReportData): string {
  if (start === null) return 'Nothing was trained.';
  if (done === null) return `Trained on ${start.device}.`;
  const scores = (tests.at(-1)?.outputs ?? []).flatMap(({ name, values, lossWeight }) =>
    lossWeight === 0 && values.length === 1 ? [`${name} ${values[0]!.toFixed(4)}`] : [],
  );
  const result = scores.length === 0 ? '' : ` Last test: ${scores.join(', ')}.`;
  return `Trained for ${formatDuration(done.seconds)} on ${start.device}.${result}`;
}

/** What no chart, no table of tests and no snapshot says. */
function resultOf({ done }: ReportData): Rows {
  if (done === null) return [];
  return [
    ['ended', `${done.reason}, after ${done.iteration.toLocaleString('en')} iterations`],
    ...(done.smoothedLoss === null ? [] : [['training loss', done.smoothedLoss.toFixed(4)] as const]),
    ['images a second', done.imagesPerSecond.toFixed(1)],
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

/** Of reports of trainings. */
export const REPORT_STYLE = `
:root { --ground: #f4f5f3; --surface: #fff; --text: #1b222c; --muted: #56606d; --line: #d5d9dd; --edge: #8d97a3;
  --first: #1f57c3; --second: #b3322a; --third: #267a36; --fourth: #966000; --problem: #8a4b00; --soft: #fdf0dc; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --surface: #1e232a; --text: #e7eaee; --muted: #a3adb9;
  --line: #353d48; --edge: #6d7885; --first: #8db5ff; --second: #ff8f86; --third: #74cc85; --fourth: #e0ab4a;
  --problem: #f2c078; --soft: #3a2c16; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1.5rem; background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; }
h2 { margin: 0 0 .5rem; font-size: 1.05rem; }
.lead { margin: .25rem 0 1.25rem; color: var(--muted); }
.problem { margin: 0 0 .75rem; padding: .5rem .9rem; border-left: .25rem solid var(--problem); background: var(--soft);
  color: var(--problem); }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); gap: 1rem; align-items: start; }
figure, section { margin: 0; padding: 1rem 1.1rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--surface); min-width: 0; }
figcaption { margin-top: .4rem; color: var(--muted); font-size: .85rem; }
.scroll { overflow: auto; max-height: 24rem; }
.across { overflow-x: auto; }
.confusions { width: auto; font-size: .85rem; } .confusions caption { margin: .6rem 0 .3rem; color: var(--muted); text-align: left; }
.confusions thead th { vertical-align: bottom; } .confusions thead span { writing-mode: vertical-rl; transform: rotate(180deg); }
.confusions tbody th { padding-right: .6rem; text-align: right; white-space: nowrap; }
.confusions td { min-width: 2.2rem; padding: .25rem; text-align: center; }
.confusions td.right { background: color-mix(in srgb, var(--third) calc(var(--share) * .6), transparent); }
.confusions td.wrong { background: color-mix(in srgb, var(--second) var(--share), transparent); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); gap: .75rem; }
.pictures img { display: block; width: 100%; border-radius: .3rem; } .pictures p { margin: .25rem 0 0; font-size: .8rem; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { color: var(--muted); font-weight: normal; }
tr:last-child > * { border-bottom: 0; }
.numbers th, .numbers td { text-align: right; white-space: nowrap; }
`;
