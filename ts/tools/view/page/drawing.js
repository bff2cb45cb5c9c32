/** Draws only the cards and edges in view, so that a net of a thousand layers stays fast. */
import { byId, html, svg } from './elements.js';
import { count, milliseconds, net } from './net.js';
import { choose, chosenLayer, onChoice } from './selection.js';
import { endsDrag, onMove, visible } from './viewport.js';

/** Below this zoom text is illegible and is not drawn. */
const LEGIBLE = 0.3;
const ROW = 19;
const world = byId('world');
const layerOfCards = byId('cards');
const layerOfEdges = byId('edges');
const largest = net.cards.reduce((most, card) => Math.max(most, load(card)), 0);
const drawnCards = new Map();
const drawnEdges = new Map();
let wasLegible = true;

/** The value of a card's bar: its time if it was measured, else its arithmetic. */
function load(card) {
  return card.measured?.milliseconds ?? (net.roofs === null ? card.macs : 0);
}

const shorten = (text, length) =>
  text.length <= length ? text : `${text.slice(0, length - 8)}…${text.slice(-7)}`;

function drawCard(card) {
  const { x, y, width, height, kind, runs } = card;
  const colour = `var(--${kind})`;
  const group = svg('g', { class: runs ? 'card' : 'card broken', transform: `translate(${x} ${y})` });
  group.append(svg('rect', { class: 'body', width, height, rx: 7 }));
  if (!wasLegible) {
    group.addEventListener('click', () => endsDrag() || choose(card.layers[0]));
    group.append(svg('rect', { class: 'far', width, height, rx: 7, fill: colour, opacity: 0.55 }));
    return group;
  }
  group.append(svg('rect', { y: 7, width: 5, height: height - 14, rx: 2.5, fill: colour }));
  card.layers.forEach((index, i) => group.append(drawRow(index, i, width)));
  const line = height - 27;
  const right =
    card.measured === null
      ? card.macs > 0
        ? `${count(card.macs)}MAC`
        : ''
      : milliseconds(card.measured.milliseconds);
  group.append(
    svg('line', { class: 'rule', x1: 14, x2: width - 10, y1: line, y2: line }),
    svg('text', { class: 'foot', x: 14, y: height - 10 }, shorten(card.shape, 24)),
    svg(
      'text',
      {
        class: card.measured === null ? 'foot' : 'foot measured',
        x: width - 10,
        y: height - 10,
        'text-anchor': 'end',
      },
      right,
    ),
  );
  const share = largest > 0 ? load(card) / largest : 0;
  if (share > 0.005)
    group.append(
      svg('rect', { x: 14, y: height - 5, width: (width - 24) * share, height: 3, rx: 1.5, fill: colour }),
    );
  return group;
}

function drawRow(index, i, width) {
  const { name, type, detail } = net.layers[index];
  const y = 7 + i * ROW;
  const right = detail === '' ? type : `${type} ${detail}`;
  return svg(
    'g',
    {
      class: i === 0 ? 'row first' : 'row',
      'data-layer': name,
      onclick: () => endsDrag() || choose(index),
    },
    svg('title', {}, `${name} (${type})`),
    svg('rect', { x: 9, y, width: width - 14, height: ROW, rx: 4 }),
    svg('text', { x: 14, y: y + 14 }, shorten(name, Math.max(18, 38 - right.length))),
    svg('text', { class: 'type', x: width - 10, y: y + 14, 'text-anchor': 'end' }, shorten(right, 20)),
  );
}

function drawEdge({ points, from, to }) {
  const path = svg('path', { class: 'edge', d: curve(points) });
  path.dataset.ends = `${from} ${to}`;
  return path;
}

/** A smooth line through points: quadratic pieces that meet half-way. */
function curve(points) {
  const at = (i) => [points[2 * i], points[2 * i + 1]];
  const last = points.length / 2 - 1;
  const parts = [`M${at(0)}`];
  for (let i = 1; i < last; i++) {
    const [x, y] = at(i);
    const [nextX, nextY] = at(i + 1);
    parts.push(
      i === last - 1 ? `Q${x} ${y} ${nextX} ${nextY}` : `Q${x} ${y} ${(x + nextX) / 2} ${(y + nextY) / 2}`,
    );
  }
  if (last === 1) parts.push(`L${at(1)}`);
  return parts.join('');
}

const edgeBounds = net.edges.map(({ points }) => {
  const ys = points.filter((_, i) => i % 2 === 1);
  const xs = points.filter((_, i) => i % 2 === 0);
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
});
const cardBounds = net.cards.map(({ x, y, width, height }) => ({
  left: x,
  top: y,
  right: x + width,
  bottom: y + height,
}));

/** Adds elements that came into view and removes those that left it. */
function update(drawn, bounds, view, parent, draw) {
  bounds.forEach((box, i) => {
    const isSeen =
      box.left < view.right && box.right > view.left && box.top < view.bottom && box.bottom > view.top;
    if (isSeen && !drawn.has(i)) {
      const element = draw(i);
      drawn.set(i, element);
      parent.append(element);
    } else if (!isSeen && drawn.has(i)) {
      drawn.get(i).remove();
      drawn.delete(i);
    }
  });
}

function forget(drawn) {
  for (const element of drawn.values()) element.remove();
  drawn.clear();
}

function markChosen() {
  const layer = chosenLayer();
  const card = layer === null ? null : net.layers[layer].card;
  for (const [i, element] of drawnCards) {
    element.classList.toggle('chosen', i === card);
    const rows = element.querySelectorAll('.row');
    rows.forEach((row, k) => row.classList.toggle('chosen', net.cards[i].layers[k] === layer));
  }
  for (const [i, element] of drawnEdges)
    element.classList.toggle(
      'near',
      card !== null && (net.edges[i].from === card || net.edges[i].to === card),
    );
}

function draw() {
  const view = visible();
  const isLegible = view.scale >= LEGIBLE;
  if (isLegible !== wasLegible) {
    wasLegible = isLegible;
    forget(drawnCards);
  }
  world.setAttribute('transform', `scale(${view.scale}) translate(${-view.left} ${-view.top})`);
  update(drawnEdges, edgeBounds, view, layerOfEdges, (i) => drawEdge(net.edges[i]));
  update(drawnCards, cardBounds, view, layerOfCards, (i) => drawCard(net.cards[i]));
  byId('zoom').textContent = `${Math.round(view.scale * 100) || '<1'}%`;
  markChosen();
}

/** The whole net as a separate file: every card with its text, in the page's current colours. */
function wholeNet() {
  const { width, height } = net;
  const before = wasLegible;
  wasLegible = true;
  const rules = [...document.styleSheets]
    .flatMap(({ cssRules }) => [...cssRules])
    .filter(({ selectorText }) => /^(\.card|\.edge|#arrow)/.test(selectorText ?? ''))
    .map(({ cssText }) => cssText);
  const drawing = svg(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, width, height },
    svg('title', {}, net.title),
    svg('style', {}, `text { font-family: system-ui, sans-serif; }\n${rules.join('\n')}`),
    byId('arrow').closest('defs').cloneNode(true),
    svg('rect', { width, height, fill: 'var(--ground)' }),
    ...net.edges.map(drawEdge),
    ...net.cards.map(drawCard),
  );
  wasLegible = before;
  // Only browsers support variables.
  const style = getComputedStyle(document.documentElement);
  return new XMLSerializer()
    .serializeToString(drawing)
    .replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
}

byId('export').addEventListener('click', () => {
  const address = URL.createObjectURL(new Blob([wholeNet()], { type: 'image/svg+xml' }));
  html('a', { href: address, download: `${net.title}.svg` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
});

onMove(draw);
onChoice(markChosen);
