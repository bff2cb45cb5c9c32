/** Curves and points in a page that contains the code that draws them: uPlot, and the script in charts/. */
import { readFileSync } from 'node:fs';
import { carried } from '../base/carried.ts';
import { ownFile } from '../base/own-package.ts';
import { escapeHtml } from './html.ts';

export interface Axis {
  readonly label: string;
  /** A logarithmic axis; all values are above 0. */
  readonly log?: boolean;
  /** Values are shares, which are shown as percentages. */
  readonly percent?: boolean;
  /** The axis begins at 0 while the whole curve is visible. */
  readonly zero?: boolean;
  /** The smallest extent of the axis. */
  readonly reach?: number;
}

/** A point; if it is the mean of several values, with their extremes. */
export type ChartPoint =
  | readonly [x: number, y: number]
  | readonly [x: number, y: number, low: number, high: number];

export interface Series {
  readonly name: string;
  readonly shape: 'line' | 'dotted line' | 'points';
  /** Ordered by x; all points have two numbers, or all have four. */
  readonly points: readonly ChartPoint[];
  /** The names of the points, if they have any. */
  readonly labels?: readonly string[];
}

export interface Chart {
  /** The heading; null if the text above the chart already says what it shows. */
  readonly title: string | null;
  /** A description in one sentence, for readers who cannot see the chart. */
  readonly summary: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

/**
 * The chart as part of a page whose script is `CHARTS_SCRIPT`. Its colours are the page's variables `--first` to `--fourth`.
 */
export function chartHtml({ title, summary, x, y, series }: Chart): string {
  // A script element must not contain anything that looks like its end.
  const data = JSON.stringify({ x, y, series }).replaceAll('<', '\\u003c');
  const heading = title === null ? '' : `<h2>${escapeHtml(title)}</h2>`;
  return `<figure>${heading}<div class="chart"><script type="application/json">${data}</script></div><noscript><p>This viewer does not run scripts and cannot draw the chart.</p></noscript><figcaption>${escapeHtml(summary)}</figcaption></figure>`;
}

/** uPlot's style and ours. */
export const chartsStyle = (): string => `${uplot('uPlot.min.css')}\n${own('charts.css')}`;

/** The script that draws the charts of a page; it appears once, at the end. */
export const chartsScript = (): string => `${uplot('uPlot.iife.min.js')}\n{\n${own('draw-charts.js')}}\n`;

const own = (name: string) => readFileSync(ownFile(`pages/charts/${name}`), 'utf8');

const uplot = (name: string) => readFileSync(carried(`uplot/dist/${name}`), 'utf8').trimEnd();
