/** Keys: arrows move through the net, / searches, Esc closes, + - 0 zoom. */
import { net } from './net.js';
import { startSearch } from './search.js';
import { choose, chosenLayer } from './selection.js';
import { showWhole, zoomBy } from './viewport.js';

/** Up and down: the layers in the order of the file. */
function step(by) {
  const layer = chosenLayer();
  const next = layer === null ? 0 : layer + by;
  if (next >= 0 && next < net.layers.length) choose(next);
}

/** Left and right: the nearest card on this side. */
function stepAside(direction) {
  const layer = chosenLayer();
  if (layer === null) return step(1);
  const here = net.cards[net.layers[layer].card];
  const overlap = (card) => Math.min(card.y + card.height, here.y + here.height) - Math.max(card.y, here.y);
  const beside = net.cards
    .filter((card) => card !== here && (card.x - here.x) * direction > 0 && overlap(card) > 0)
    .sort((a, b) => Math.abs(a.x - here.x) - Math.abs(b.x - here.x))[0];
  if (beside !== undefined) choose(beside.layers[0]);
}

const KEYS = {
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  ArrowLeft: () => stepAside(-1),
  ArrowRight: () => stepAside(1),
  Escape: () => choose(null),
  '/': startSearch,
  '+': () => zoomBy(1.25),
  '=': () => zoomBy(1.25),
  '-': () => zoomBy(1 / 1.25),
  0: showWhole,
};

addEventListener('keydown', (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? '');
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});
