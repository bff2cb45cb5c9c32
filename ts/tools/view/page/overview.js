/** The whole net as a column of bars, with one bar per residual block, the names of its stages, and the part in view. */
import { byId, html } from './elements.js';
import { net } from './net.js';
import { centreOn, onMove, visible } from './viewport.js';

const METRICS = {
  time: ['Time', (card) => card.measured?.milliseconds ?? 0],
  macs: ['MACs', (card) => card.macs],
  bytes: ['Bytes moved', (card) => card.bytes],
};
const canvas = byId('overview');
const select = byId('metric');
for (const [name, [label]] of Object.entries(METRICS))
  if (name !== 'time' || net.roofs !== null) select.append(html('option', { value: name }, label));
select.addEventListener('change', draw);

/** The cards of each bar. A block ends at its sum. Cards outside blocks have their own bars. */
function foldBlocks() {
  const sumOf = (card) => card.layers.find((index) => net.layers[index].type === 'Eltwise');
  const bars = [];
  let open = [];
  for (const card of [...net.cards].sort((a, b) => a.y - b.y)) {
    open.push(card);
    const sum = sumOf(card);
    if (sum === undefined) continue;
    // Cards before the first branch are not part of the first block.
    const begin = bars.some(({ sum: before }) => before !== null) ? 0 : firstOfBlock(open);
    for (const alone of open.splice(0, begin)) bars.push({ cards: [alone], sum: null });
    bars.push({ cards: open, sum: net.layers[sum].name });
    open = [];
  }
  for (const alone of open) bars.push({ cards: [alone], sum: null });
  return bars;
}

/** The first block begins after the card with two readers. Its own end has two readers again. */
function firstOfBlock(cards) {
  const readers = (card) => net.edges.filter(({ from }) => net.cards[from] === card).length;
  return cards.slice(0, -1).findLastIndex((card) => readers(card) > 1) + 1;
}

/** Adjacent blocks of one shape, by the common beginning of their names. */
function stagesOf(bars) {
  const stages = [];
  for (const bar of bars) {
    if (bar.sum === null) continue;
    const { shape } = bar.cards.at(-1);
    const last = stages.at(-1);
    if (last?.shape === shape) last.bars.push(bar);
    else stages.push({ shape, bars: [bar] });
  }
  return stages.map(({ shape, bars: blocks }) => {
    const names = blocks.map(({ sum }) => sum);
    let length = names[0].length;
    for (const name of names) while (name.slice(0, length) !== names[0].slice(0, length)) length--;
    const prefix = names.length === 1 ? names[0].replace(/[a-z]$/, '') : names[0].slice(0, length);
    return {
      name: prefix.replace(/[^\p{L}\d]+$/u, ''),
      size: shape.split('×').slice(1).join('×'),
      count: names.length,
      top: blocks[0].cards[0].y,
    };
  });
}

const bars = foldBlocks().map(({ cards, sum }) => ({
  cards,
  sum,
  top: Math.min(...cards.map(({ y }) => y)),
  bottom: Math.max(...cards.map(({ y, height }) => y + height)),
}));
const stages = stagesOf(bars);
canvas.setAttribute(
  'aria-label',
  ['Overview', ...stages.map(({ name, size, count }) => `${name}: ${count} blocks at ${size}`)].join('; '),
);
/** The stages' names are left of the bars. */
const LEFT = stages.length > 0 ? 62 : 2;

function draw() {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0 || height === 0) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext('2d');
  context.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`);
  const unit = height / net.height;
  const metric = METRICS[select.value][1];
  const sum = ({ cards }) => cards.reduce((total, card) => total + metric(card), 0);
  const most = Math.max(...bars.map(sum)) || 1;
  const { top, bottom } = visible();
  const begin = Math.max(0, top * unit);
  const length = Math.max(Math.min(height, bottom * unit) - begin, 6);
  context.fillStyle = colour('accent-soft');
  context.fillRect(0, begin, width, length);
  for (const bar of bars) {
    const main = bar.cards.reduce((one, other) => (metric(other) > metric(one) ? other : one));
    context.fillStyle = colour(main.kind);
    const long = Math.max(1.5, (sum(bar) / most) * (width - LEFT - 2));
    context.fillRect(LEFT, bar.top * unit, long, Math.max((bar.bottom - bar.top) * unit - 1, 0.6));
  }
  nameStages(context, unit, colour);
  context.strokeStyle = colour('accent');
  context.lineWidth = 1.5;
  context.strokeRect(0.75, begin + 0.75, width - 1.5, Math.max(length - 1.5, 1));
}

function nameStages(context, unit, colour) {
  context.textBaseline = 'top';
  let free = 0;
  for (const { name, size, count, top } of stages) {
    const y = Math.max(top * unit, free);
    context.fillStyle = colour('text');
    context.font = '600 11px system-ui, sans-serif';
    context.fillText(name, 4, y, LEFT - 8);
    context.fillStyle = colour('muted');
    context.font = '10px system-ui, sans-serif';
    context.fillText(`${count} · ${size}`, 4, y + 12, LEFT - 8);
    free = y + 26;
  }
}

function go(event) {
  if (event.buttons !== 1) return;
  const share = (event.clientY - canvas.getBoundingClientRect().top) / canvas.clientHeight;
  centreOn(net.width / 2, share * net.height);
}
canvas.addEventListener('pointerdown', go);
canvas.addEventListener('pointermove', go);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
onMove(draw);
