/** Draws charts as one SVG picture, for papers and for pages without scripts. */
import type { Axis, Chart } from './chart.ts';
import { escapeHtml } from './html.ts';

const [WIDTH, HEIGHT] = [800, 360];
/** The margins around the plot of a chart. */
const ROOM = { left: 70, right: 20, top: 40, bottom: 45 };
/** Okabe and Ito's colours, which people with colour vision deficiencies can distinguish. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#888888'];

/** Draws the charts below one another. */
export function chartsSvg(charts: readonly Chart[], title: string): string {
  const heights = charts.map(({ series }) => HEIGHT + 18 * Math.ceil(series.length / 2));
  const total = heights.reduce((sum, height) => sum + height, 0);
  let top = 0;
  const parts = charts.map((chart, i) => {
    const part = `<g transform="translate(0 ${top})">${chartGroup(chart)}</g>`;
    top += heights[i]!;
    return part;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${total}" width="${WIDTH}" height="${total}" font-family="sans-serif" font-size="12">
<title>${escapeHtml(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}

function chartGroup({ title, x, y, series }: Chart): string {
  const across = scaleOf(
    x,
    series.flatMap(({ points }) => points.map(([value]) => value)),
    [ROOM.left, WIDTH - ROOM.right],
  );
  const up = scaleOf(
    y,
    series.flatMap(({ points }) => points.map(([, value]) => value)),
    [HEIGHT - ROOM.bottom, ROOM.top],
  );
  const show = (value: number) => (y.percent ? `${round(100 * value)}%` : `${round(value)}`);
  const grid = up.ticks.map(
    (value) =>
      `<path d="M${ROOM.left} ${px(up.at(value))}H${WIDTH - ROOM.right}" stroke="#ddd"/><text x="${ROOM.left - 8}" y="${px(up.at(value) + 4)}" text-anchor="end">${show(value)}</text>`,
  );
  const marks = across.ticks.map(
    (value) =>
      `<text x="${px(across.at(value))}" y="${HEIGHT - ROOM.bottom + 18}" text-anchor="middle">${round(value)}</text>`,
  );
  const lines = series.map(({ points, shape }, i) => {
    const path = points.map(([a, b]) => `${px(across.at(a))} ${px(up.at(b))}`).join('L');
    const dots =
      shape === 'line'
        ? ''
        : points.map(([a, b]) => `<circle cx="${px(across.at(a))}" cy="${px(up.at(b))}" r="2.5"/>`).join('');
    const stroke = shape === 'points' ? '' : `<path d="M${path}" fill="none" stroke-width="1.5"/>`;
    return `<g stroke="${colour(i)}" fill="${colour(i)}">${stroke}${dots}</g>`;
  });
  const legend = series.map(({ name }, i) => {
    const [left, top] = [ROOM.left + (i % 2) * 350, HEIGHT + 18 * Math.floor(i / 2)];
    return `<rect x="${left}" y="${top - 9}" width="10" height="10" fill="${colour(i)}"/><text x="${left + 16}" y="${top}">${escapeHtml(name)}</text>`;
  });
  return [
    `<text x="${ROOM.left}" y="24" font-size="16">${escapeHtml(title ?? '')}</text>`,
    ...grid,
    ...marks,
    `<text x="${WIDTH - ROOM.right}" y="${HEIGHT - 8}" text-anchor="end">${escapeHtml(x.label)}</text>`,
    ...lines,
    ...legend,
  ].join('\n');
}

const colour = (i: number) => COLOURS[i % COLOURS.length]!;
const px = (value: number) => value.toFixed(1);
const round = (value: number) => Number(value.toPrecision(4));

/** Maps values to positions, and chooses round values for marks. */
function scaleOf(
  { log = false, zero = false }: Axis,
  values: readonly number[],
  [from, to]: readonly [number, number],
) {
  const of = log ? Math.log10 : (value: number) => value;
  const least = Math.min(...values, ...(zero && !log ? [0] : []));
  const [low, high] = [of(least), of(Math.max(...values))];
  const reach = high - low || Math.abs(high) || 1;
  const at = (value: number) => from + ((of(value) - low) / reach) * (to - from);
  return { at, ticks: log ? decades(low, low + reach) : roundValues(low, low + reach) };
}

function decades(low: number, high: number): number[] {
  const digits = high - low > 2 ? [1] : [1, 2, 5];
  const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  return powers
    .flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)))
    .filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
}

/** About five round values, at 1, 2 or 5 times a power of ten. */
function roundValues(low: number, high: number): number[] {
  const power = 10 ** Math.floor(Math.log10((high - low) / 5));
  const step = power * ([1, 2, 5, 10].find((digit) => (high - low) / (digit * power) <= 6) ?? 10);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => round((first + i) * step));
}
