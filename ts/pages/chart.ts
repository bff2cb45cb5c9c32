/** Curves and points in a page that carries what draws them: uPlot, and the script of charts/. */
import { readFileSync } from 'node:fs';
import { carried } from '../base/carried.ts';
import { ownFile } from '../base/own-package.ts';
import { escapeHtml } from './html.ts';

export interface Axis {
  readonly label: string;
  /** Equal ratios get equal lengths; all values are above 0. */
  readonly log?: boolean;
  /** Values are shares, shown as percentages. */
  readonly percent?: boolean;
  /** Begins at 0 while the whole curve is shown. */
  readonly zero?: boolean;
  /** Goes at least so far. */
  readonly reach?: number;
}

/** A point, with the extremes of the values whose mean it is where there were several. */
export type ChartPoint =
  | readonly [x: number, y: number]
  | readonly [x: number, y: number, low: number, high: number];

export interface Series {
  readonly name: string;
  readonly shape: 'line' | 'dotted line' | 'points';
  /** By x; all of two numbers, or all of four. */
  readonly points: readonly ChartPoint[];
  /** Of each point, where it has a name of its own. */
  readonly labels?: readonly string[];
}

export interface Chart {
  /** Its heading; null where what stands above it says what it is. */
  readonly title: string | null;
  /** What it says in a sentence, for who does not see it. */
  readonly summary: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

/** The chart as part of a page whose script is `CHARTS_SCRIPT`. Its colours are the page's variables `--first` to `--fourth`. */
export function chartHtml({ title, summary, x, y, series }: Chart): string {
  // Inside a script element nothing may look like its end.
  const data = JSON.stringify({ x, y, series }).replaceAll('<', '\\u003c');
  const heading = title === null ? '' : `<h2>${escapeHtml(title)}</h2>`;
  return `<figure>${heading}<div class="chart"><script type="application/json">${data}</script></div><noscript><p>This viewer does not run scripts and cannot draw the chart.</p></noscript><figcaption>${escapeHtml(summary)}</figcaption></figure>`;
}

/** uPlot's own style, and ours. */
export const chartsStyle = (): string => `${uplot('uPlot.min.css')}\n${own('charts.css')}`;

/** What draws the charts of a page; at its end, once. */
export const chartsScript = (): string => `${uplot('uPlot.iife.min.js')}\n{\n${own('draw-charts.js')}}\n`;

const own = (name: string) => readFileSync(ownFile(`pages/charts/${name}`), 'utf8');

const uplot = (name: string) => readFileSync(carried(`uplot/dist/${name}`), 'utf8').trimEnd();
