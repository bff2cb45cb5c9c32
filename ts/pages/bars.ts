/** Bars as HTML: they need no script, and their text wraps. */
import { escapeHtml } from './html.ts';

export interface Bar {
  readonly value: number;
  /** The smallest and the largest measured value. */
  readonly range?: readonly [low: number, high: number];
  /** The index in the legend. Default 0. */
  readonly series?: number;
}

export interface Bars {
  /** The unit of the numbers, e.g. `images per second`. */
  readonly unit: string;
  /** Names of the series; with one there is no legend. */
  readonly series: readonly string[];
  readonly rows: readonly { readonly name: string; readonly bars: readonly Bar[] }[];
  readonly digits: number;
}

const COLOURS = ['var(--first)', 'var(--second)', 'var(--third)', 'var(--fourth)'];

export function barsHtml({ unit, series, rows, digits }: Bars): string {
  const most = Math.max(...rows.flatMap(({ bars }) => bars.map(({ value, range }) => range?.[1] ?? value)));
  const share = (value: number) => `${((100 * value) / most).toFixed(2)}%`;
  const bar = ({ value, range, series: of = 0 }: Bar) => {
    const line =
      range === undefined
        ? ''
        : `<i style="left:${share(range[0])};width:${share(range[1] - range[0])}"></i>`;
    return `<div class="bar" title="${escapeHtml(series[of] ?? '')}"><span><b style="width:${share(value)};background:${COLOURS[of % COLOURS.length]}"></b>${line}</span><data value="${value}">${value.toFixed(digits)}</data></div>`;
  };
  const legend =
    series.length < 2
      ? ''
      : `<p class="legend">${series.map((name, i) => `<span><b style="background:${COLOURS[i % COLOURS.length]}"></b>${escapeHtml(name)}</span>`).join('')}</p>`;
  return `<div class="bars">${legend}<dl>${rows
    .map(({ name, bars }) => `<dt>${escapeHtml(name)}</dt><dd>${bars.map(bar).join('')}</dd>`)
    .join('')}</dl><p class="unit">${escapeHtml(unit)}</p></div>`;
}

export const BARS_STYLE = `
.bars dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem .75rem; margin: 0; align-items: center; }
.bars dt { font-size: .9rem; overflow-wrap: anywhere; } .bars dd { margin: 0; }
.bar { display: flex; gap: .6rem; align-items: center; margin: 2px 0; }
.bar span { position: relative; flex: 1; height: .9rem; }
.bar b { display: block; height: 100%; border-radius: 0 3px 3px 0; }
.bar i { position: absolute; top: calc(50% - 1px); height: 2px; background: var(--text); }
.bar data { min-width: 3.5em; font-size: .85rem; font-variant-numeric: tabular-nums; text-align: right; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 0 0 .5rem; font-size: .85rem; }
.legend b { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px; }
.unit { margin: .25rem 0 0; color: var(--muted); font-size: .85rem; }
@media (max-width: 40rem) { .bars dl { grid-template-columns: 1fr; gap: .1rem; } .bars dt { margin-top: .4rem; } }
`;
