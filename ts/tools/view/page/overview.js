/** The whole net as a column of bars, one a card, with the part that is in sight. */
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
  const most = net.cards.reduce((largest, card) => Math.max(largest, metric(card)), 0) || 1;
  const { top, bottom } = visible();
  const begin = Math.max(0, top * unit);
  const length = Math.max(Math.min(height, bottom * unit) - begin, 6);
  context.fillStyle = colour('accent-soft');
  context.fillRect(0, begin, width, length);
  for (const card of net.cards) {
    context.fillStyle = colour(card.kind);
    const long = Math.max(1.5, (metric(card) / most) * (width - 4));
    context.fillRect(2, card.y * unit, long, Math.max(card.height * unit - 0.5, 0.6));
  }
  context.strokeStyle = colour('accent');
  context.lineWidth = 1.5;
  context.strokeRect(0.75, begin + 0.75, width - 1.5, Math.max(length - 1.5, 1));
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
