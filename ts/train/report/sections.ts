/** Sections of a report as HTML: tables, confusions, pictures and charts; and the style of reports. */
import { chartHtml } from '../../pages/chart.ts';
import { escapeHtml, factsTable, numbersTable } from '../../pages/html.ts';
import type { ConfusionMatrix, ReportPicture, ReportSection } from './data.ts';

/** A section, followed by its charts. */
export function sectionHtml({
  title,
  rows,
  table,
  confusions,
  pictures = [],
  charts = [],
}: ReportSection): string {
  const parts = [
    ...(rows.length === 0 ? [] : [factsTable(rows)]),
    ...(table === undefined ? [] : [numbersTable(table.head, table.rows)]),
    ...(confusions === undefined ? [] : [confusionTable(confusions)]),
    ...(pictures.length === 0 ? [] : [`<div class="pictures">${pictures.map(pictureOf).join('')}</div>`]),
  ];
  const section =
    parts.length === 0 ? '' : `<section><h2>${escapeHtml(title)}</h2>${parts.join('')}</section>\n`;
  return `${section}${charts.map(chartHtml).join('\n')}`;
}

/** Rows are the true classes and columns the predicted ones; the darkness of a cell is its share of the class. */
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
  return `<div class="across"><table class="confusions"><caption>rows: true classes; columns: predicted classes</caption><thead><tr><td></td>${head.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

const pictureOf = ({ jpeg, caption }: ReportPicture) =>
  `<div><img src="data:image/jpeg;base64,${jpeg}" alt=""><p>${escapeHtml(caption)}</p></div>`;

/** The style of training reports. */
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
