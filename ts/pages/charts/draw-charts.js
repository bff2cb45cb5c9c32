/** Draws every chart of the page with uPlot: in the page's colours, at the width that there is, with what lies under the cursor. */

const COLOURS = ['--first', '--second', '--third', '--fourth'];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Four digits are what a reader compares. */
const plain = (value) => Number(value.toPrecision(4)).toLocaleString('en', { maximumSignificantDigits: 4 });
const show = (axis, value) => (axis.percent ? `${plain(100 * value)}%` : plain(value));

/** uPlot wants one row of x for all series; each point gets a row of its own, in order. */
function columns(series) {
  const rows = series
    .flatMap(({ points }, s) => points.map((point, i) => ({ s, i, x: point[0] })))
    .sort((a, b) => a.x - b.x);
  const column = (s, value) => rows.map((row) => (row.s === s ? value(series[s].points[row.i]) : null));
  return {
    xs: rows.map(({ x }) => x),
    of: (s, field) => column(s, (point) => point[field] ?? null),
    labels: rows.map(({ s, i }) => series[s].labels?.[i] ?? null),
  };
}

/** The row nearest to the cursor in which the series has a value. */
function nearest(plot, s, _row, x) {
  const [xs, ys] = [plot.data[0], plot.data[s]];
  let best = null;
  for (let i = 0; i < xs.length; i++)
    if (ys[i] !== null && (best === null || Math.abs(xs[i] - x) < Math.abs(xs[best] - x))) best = i;
  return best;
}

/** The axis of y. Who looks at a part of the curve wants to see its shape, not where 0 is. */
function yRange({ log, zero, percent, reach }, series) {
  const values = series.flatMap(({ points }) => points.flatMap(([, ...ys]) => ys));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return (_, low, high) => {
    if (low === null) return [0, 1];
    if (log) return [low / 1.15, high * 1.15];
    const room = 0.06 * (high - low || Math.abs(high) || 1);
    const top = percent && high <= 1 ? Math.min(1, high + room) : high + room;
    const isWhole = low <= least && high >= most;
    return zero && isWhole ? [Math.min(0, low), Math.max(top, reach ?? top)] : [low - room, top];
  };
}

/** Round numbers on an axis of equal ratios, as many as it takes to read it. */
function logSplits(_, __, low, high) {
  const decades = Math.log10(high / low);
  const digits = decades > 2 ? [1] : decades > 0.8 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  const splits = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const digit of digits) splits.push(Number(`${digit}e${power}`));
  return splits.filter((value) => value >= low && value <= high);
}

function axis(about, isX) {
  return {
    label: about.label,
    labelSize: 22,
    labelFont: '12px system-ui, sans-serif',
    font: '12px system-ui, sans-serif',
    size: isX ? 34 : 58,
    space: isX ? 60 : 34,
    stroke: () => colour('--muted'),
    grid: { stroke: () => colour('--line'), width: 1 },
    ticks: { stroke: () => colour('--line'), width: 1 },
    ...(about.log ? { splits: logSplits, filter: (_, splits) => splits } : {}),
    values: (_, values) => values.map((value) => (value === null ? '' : show(about, value))),
  };
}

function draw(element) {
  const { x, y, series } = JSON.parse(element.querySelector('script').textContent);
  const table = columns(series);
  const data = [table.xs];
  const drawn = [{ label: x.label, value: (_, value) => (value === null ? '' : show(x, value)) }];
  const bands = [];
  const add = (column, options) => drawn.push(options) && data.push(column) - 1;
  series.forEach(({ name, shape, points }, s) => {
    const stroke = () => colour(COLOURS[s % COLOURS.length]);
    const edge = { spanGaps: true, width: 0, points: { show: false }, class: 'extreme' };
    if (points[0]?.length === 4)
      bands.push({
        series: [add(table.of(s, 3), edge), add(table.of(s, 2), edge)],
        fill: () => `color-mix(in srgb, ${stroke()} 18%, transparent)`,
      });
    add(table.of(s, 1), {
      label: name,
      stroke,
      width: 2,
      spanGaps: true,
      ...(shape === 'points' ? { paths: () => null } : {}),
      points: { show: shape !== 'line' || points.length === 1, size: 7, fill: stroke, stroke },
      value: (_, value, __, row) =>
        value === null ? '' : [table.labels[row], show(y, value)].filter(Boolean).join(' · '),
    });
  });
  const height = () => Math.round(Math.min(280, Math.max(210, element.clientWidth * 0.45)));
  const plot = new uPlot(
    {
      width: element.clientWidth,
      height: height(),
      scales: {
        x: { time: false, ...(x.log ? { distr: 3, range: (_, low, high) => [low / 1.2, high * 1.2] } : {}) },
        y: { ...(y.log ? { distr: 3 } : {}), range: yRange(y, series) },
      },
      axes: [axis(x, true), axis(y, false)],
      series: drawn,
      bands,
      cursor: { dataIdx: nearest, y: false },
    },
    data,
    element,
  );
  plot.root.querySelector('canvas').setAttribute('aria-hidden', 'true');
  return { plot, resize: () => plot.setSize({ width: element.clientWidth, height: height() }) };
}

const charts = [...document.querySelectorAll('.chart')].map(draw);
new ResizeObserver(() => charts.forEach(({ resize }) => resize())).observe(document.documentElement);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () =>
  charts.forEach(({ plot }) => plot.redraw(false, true)),
);
