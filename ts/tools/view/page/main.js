/** Starts the page: its static parts, and the first view. */
import './drawing.js';
import './overview.js';
import './panel.js';
import './keyboard.js';
import { byId, html } from './elements.js';
import { bytes, count, milliseconds, net } from './net.js';
import { showBeginning } from './viewport.js';

const { layers, operations, parameters, macs, activationBytes, milliseconds: time } = net.totals;
byId('title').textContent = net.title;
byId('totals').textContent = [
  `${layers} layers as ${operations} operations`,
  `${count(parameters)} parameters`,
  `${count(macs)}MAC`,
  `${bytes(activationBytes)} in blobs`,
  ...(time === null ? [] : [`${milliseconds(time)} forward`]),
].join(' · ');
byId('remarks').textContent = net.remarks.join(' ');

const NAMES = {
  data: 'data',
  convolution: 'convolution',
  product: 'inner product',
  pooling: 'pooling',
  normalisation: 'normalisation',
  activation: 'activation, softmax',
  combination: 'sum, concatenation',
  shape: 'shape',
  detection: 'boxes',
  loss: 'loss, accuracy',
  unknown: 'of other kinds',
};
const present = new Set(net.cards.map(({ kind }) => kind));
for (const [kind, name] of Object.entries(NAMES))
  if (present.has(kind)) byId('legend').append(html('li', { style: `--colour:var(--${kind})` }, name));

showBeginning();
