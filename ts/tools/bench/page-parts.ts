/** What the pages of the processor's and of a GPU's reports share. */
import { BARS_STYLE } from '../../pages/bars.ts';
import { escapeHtml } from '../../pages/html.ts';

/** A part of a report, which the contents name. */
export interface Section {
  readonly title: string;
  readonly body: string;
}

/** Contents, and the sections that they lead to. */
export function sectionsHtml(sections: readonly Section[]): string {
  const links = sections.map(({ title }, i) => `<li><a href="#s${i + 1}">${escapeHtml(title)}</a></li>`);
  const bodies = sections.map(
    ({ title, body }, i) => `<section id="s${i + 1}"><h2>${escapeHtml(title)}</h2>\n${body}\n</section>`,
  );
  return `<nav aria-label="Contents"><ul>${links.join('')}</ul></nav>\n<main>\n${bodies.join('\n')}\n</main>`;
}

/** A net at a batch size, and the images per second of each engine that ran it. */
export interface SummaryRow {
  readonly title: string;
  readonly speeds: ReadonlyMap<string, number>;
}

/** Images a second of every engine on every net: the fastest in bold, the others with their share of resnode's. */
export function summaryTable(rows: readonly SummaryRow[]): string {
  const engines = [...new Set(rows.flatMap(({ speeds }) => [...speeds.keys()]))];
  const cell = ({ speeds }: SummaryRow, engine: string) => {
    const speed = speeds.get(engine);
    if (speed === undefined) return '<td></td>';
    const own = speeds.get('resnode');
    const share =
      own === undefined || engine === 'resnode' ? '' : ` <small>${(speed / own).toFixed(2)}×</small>`;
    const isFastest = speed === Math.max(...speeds.values());
    return `<td>${isFastest ? `<b>${speed.toFixed(1)}</b>` : speed.toFixed(1)}${share}</td>`;
  };
  const head = ['images per second', ...engines].map((name) => `<th>${escapeHtml(name)}</th>`);
  const body = rows.map(
    (row) =>
      `<tr><td>${escapeHtml(row.title)}</td>${engines.map((engine) => cell(row, engine)).join('')}</tr>`,
  );
  return `<div class="scroll"><table class="numbers summary"><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

export const STYLE = `${BARS_STYLE}
:root { --text: #1c1d22; --muted: #5d606b; --line: #e6e7ec; --edge: #b9bcc6; --back: #fff;
  --first: #2864c7; --second: #c2571a; --third: #2c8a57; --fourth: #8a4fbf }
@media (prefers-color-scheme: dark) { :root { --text: #e9eaf0; --muted: #a3a6b3; --line: #2c2e37; --edge: #4a4d5a;
  --back: #16171c; --first: #7aa7f5; --second: #f09a5f; --third: #6ac597; --fourth: #c29bea } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 0; padding: 1.5rem clamp(1rem, 3vw, 3rem) }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.5rem 0 0.5rem }
.lead, figcaption { color: var(--muted) } figcaption { font-size: 0.85rem }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem 3rem }
figure { margin: 1rem 0; min-width: 0 } section > figure { max-width: 70rem }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: 1rem 0; padding: 0; list-style: none } a { color: var(--first) }
small { color: var(--muted); font-size: .8em } .summary { font-size: .95rem }
.problem { border-left: 4px solid var(--second); padding-left: 0.75rem }
table { border-collapse: collapse; font-size: 0.85rem } th, td { text-align: left; padding: 0.25rem 1.25rem 0.25rem 0; vertical-align: top; overflow-wrap: anywhere }
tr { border-bottom: 1px solid var(--line) } .numbers { min-width: min(100%, 40rem) } .numbers th { white-space: nowrap; overflow-wrap: normal } .numbers td { overflow-wrap: normal } .numbers td:not(:first-child) { font-variant-numeric: tabular-nums }
@media (max-width: 40rem) { .numbers td:first-child { min-width: 8rem } } .scroll { overflow-x: auto }
`;
