/** The visible part of the graph: zoom and pan, by wheel, drag, pinch and buttons. */
import { byId } from './elements.js';
import { net } from './net.js';

const MAXIMUM = 4;
/** The smallest zoom at which the text of cards is easy to read. */
const READABLE = 0.7;
const graph = byId('graph');
graph.tabIndex = 0;
const listeners = [];
let scale = 1;
let left = 0; // of the viewport, in the graph's units
let top = 0;
let isDue = false;

/** The visible rectangle in the graph's units, and the zoom. */
export const visible = () => ({
  left,
  top,
  right: left + graph.clientWidth / scale,
  bottom: top + graph.clientHeight / scale,
  scale,
});

/** Called at most once per frame. */
export const onMove = (listener) => listeners.push(listener);

export function moved() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    for (const listener of listeners) listener();
  });
}

const fitting = () => Math.min(graph.clientWidth / net.width, graph.clientHeight / net.height, 1);

/** Keeps the centre of the viewport on the net. */
function place(nextLeft, nextTop) {
  const width = graph.clientWidth / scale;
  const height = graph.clientHeight / scale;
  left = Math.min(Math.max(nextLeft, -width / 2), net.width - width / 2);
  top = Math.min(Math.max(nextTop, -height / 2), net.height - height / 2);
  moved();
}

/** Zooms by a factor about a point of the viewport (default: its centre). */
export function zoomBy(factor, x = graph.clientWidth / 2, y = graph.clientHeight / 2) {
  const next = Math.min(Math.max(scale * factor, fitting() * 0.8), MAXIMUM);
  const nextLeft = left + x / scale - x / next;
  const nextTop = top + y / scale - y / next;
  scale = next;
  place(nextLeft, nextTop);
}

export function showWhole() {
  scale = fitting();
  centreOn(net.width / 2, net.height / 2);
}

/** The beginning of the net at a legible size: the first two cards, or only the second if both do not fit. */
export function showBeginning() {
  scale = Math.min(1, Math.max(READABLE, graph.clientWidth / net.width));
  const width = graph.clientWidth / scale;
  const [first = { x: 0, width: net.width }, second = first] = net.cards;
  const from = Math.min(first.x, second.x);
  const to = Math.max(first.x + first.width, second.x + second.width);
  const middle = to - from <= width ? (from + to) / 2 : second.x + second.width / 2;
  const furthest = net.width - width;
  place(furthest > 0 ? Math.min(Math.max(middle - width / 2, 0), furthest) : furthest / 2, 0);
}

export function centreOn(x, y) {
  place(x - graph.clientWidth / scale / 2, y - graph.clientHeight / scale / 2);
}

let knownWidth = graph.clientWidth;

/** The centre stays when the panel opens or closes. */
function noticeWidth() {
  left += (knownWidth - graph.clientWidth) / scale / 2;
  knownWidth = graph.clientWidth;
}

/** Brings a card into view at a legible size: by the shortest way if it is near, otherwise to the centre. */
export function reveal({ x, y, width, height }) {
  noticeWidth();
  const { right, bottom } = visible();
  const isNear = x < right && x + width > left && y < bottom && y + height > top;
  if (scale < READABLE) scale = 0.85;
  else if (isNear) {
    revealNear(x, y, x + width, y + height);
    return;
  }
  centreOn(x + width / 2, y + height / 2);
}

function revealNear(x, y, endX, endY) {
  const margin = 64 / scale;
  const { right, bottom } = visible();
  const shift = (from, to, low, high) =>
    from - margin < low ? from - margin - low : to + margin > high ? to + margin - high : 0;
  place(left + shift(x, endX, left, right), top + shift(y, endY, top, bottom));
}

graph.addEventListener(
  'wheel',
  (event) => {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    const { left: x, top: y } = graph.getBoundingClientRect();
    if (event.ctrlKey || event.metaKey)
      zoomBy(Math.exp(-event.deltaY * unit * 0.004), event.clientX - x, event.clientY - y);
    else place(left + (event.deltaX * unit) / scale, top + (event.deltaY * unit) / scale);
  },
  { passive: false },
);

const pointers = new Map();
let wasDragged = false;

/** True for the click that ends a drag. */
export const endsDrag = () => wasDragged;

graph.addEventListener('pointerdown', (event) => {
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  wasDragged = false;
});
graph.addEventListener('pointermove', (event) => {
  const from = pointers.get(event.pointerId);
  if (from === undefined) return;
  const to = { x: event.clientX, y: event.clientY };
  if (!wasDragged && Math.hypot(to.x - from.x, to.y - from.y) < 4) return;
  if (!wasDragged) graph.setPointerCapture(event.pointerId);
  wasDragged = true;
  graph.classList.add('dragged');
  const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
  pointers.set(event.pointerId, to);
  if (other === undefined) place(left - (to.x - from.x) / scale, top - (to.y - from.y) / scale);
  else {
    const { left: x, top: y } = graph.getBoundingClientRect();
    const distance = ({ x, y }) => Math.max(Math.hypot(x - other.x, y - other.y), 1);
    zoomBy(distance(to) / distance(from), (to.x + other.x) / 2 - x, (to.y + other.y) / 2 - y);
  }
});
for (const name of ['pointerup', 'pointercancel'])
  graph.addEventListener(name, (event) => {
    pointers.delete(event.pointerId);
    graph.classList.remove('dragged');
  });

byId('zoom-in').addEventListener('click', () => zoomBy(1.25));
byId('zoom-out').addEventListener('click', () => zoomBy(1 / 1.25));
byId('fit').addEventListener('click', showWhole);
new ResizeObserver(() => {
  noticeWidth();
  moved();
}).observe(graph);
