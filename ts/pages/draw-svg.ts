/** Plots as SVG, drawn by Vega without a browser; their colours are variables of the page that they stand on. */
import type { TopLevelSpec } from 'vega-lite';

/** For series, in this order. */
export const CHART_COLOURS = ['var(--first)', 'var(--second)', 'var(--third)', 'var(--fourth)'];

/** What all plots look like. */
export const CHART_STYLE = {
  font: 'system-ui, sans-serif',
  background: 'transparent',
  view: { stroke: null },
  axis: {
    labelColor: 'var(--muted)',
    titleColor: 'var(--muted)',
    titleFontWeight: 'normal',
    gridColor: 'var(--line)',
    domainColor: 'var(--edge)',
    tickColor: 'var(--edge)',
  },
  legend: { labelColor: 'var(--text)' },
} as const satisfies NonNullable<TopLevelSpec['config']>;

/** @param attributes Of the svg element. Its size is left to the page. */
export async function drawSvg(spec: TopLevelSpec, attributes = 'role="img"'): Promise<string> {
  // Loaded here: plotting is heavy, and seldom wanted.
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg.replace(
    /^<svg([^>]*?) width="\d+" height="\d+"/,
    (_, rest: string) => `<svg${rest} ${attributes}`,
  );
}
