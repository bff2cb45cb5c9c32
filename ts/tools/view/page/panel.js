/** The panel with all data of the open layer. */
import { byId, html } from './elements.js';
import { bytes, count, milliseconds, net, picturesOf, shapeText } from './net.js';
import { choose, onChoice } from './selection.js';
import { reveal } from './viewport.js';

const panel = byId('panel');
const size = (shape) => shape.reduce((product, dim) => product * dim, 1);

const linkTo = (index) =>
  html(
    'button',
    { class: 'link', type: 'button', onclick: () => choose(index) },
    net.layers[index].name || `layer ${index + 1}`,
  );

const links = (indices) => indices.flatMap((index, i) => (i === 0 ? [linkTo(index)] : [', ', linkTo(index)]));

const fact = (term, ...values) => [html('dt', {}, term), html('dd', {}, ...values)];

function blobFacts({ bottoms, tops }) {
  const show = (term, { name, shape, others }, verb) =>
    fact(
      term,
      `${name}  ${shapeText(shape)}`,
      ...(others.length === 0
        ? []
        : [html('br'), html('span', { class: 'muted' }, `${verb} `), ...links(others)]),
    );
  return [
    ...bottoms.flatMap((blob) => show('Bottom', blob, 'from')),
    ...tops.flatMap((blob) => show('Top', blob, 'read by')),
  ];
}

function numberFacts({ parameters, macs, tops, field, isOfRegions }) {
  const total = parameters.reduce((sum, { shape }) => sum + size(shape), 0);
  const memory = tops.reduce((sum, { shape }) => sum + (shape === null ? 0 : 4 * size(shape)), 0);
  // Resized maps have strides that are not integers.
  const round = (value) => Math.round(1000 * value) / 1000;
  const both = (sides, unit = '') => sidesText(sides.map(round), unit);
  const sidesText = ([height, width], unit) =>
    height === width ? `${height}${unit}` : `${height}${unit} high, ${width}${unit} wide`;
  return [
    ...(parameters.length === 0
      ? []
      : fact(
          'Parameters',
          `${count(total)} = ${parameters.map(({ shape }) => shapeText(shape)).join(' + ')}`,
          ...parameters.flatMap(({ sharedWith }) =>
            sharedWith === null ? [] : [html('br'), `shared with ${sharedWith}`],
          ),
        )),
    ...(macs === 0 ? [] : fact('Multiply-adds', count(macs))),
    ...fact('Memory', `${bytes(memory)} top${total > 0 ? `, ${bytes(4 * total)} parameters` : ''}`),
    ...(isOfRegions ? fact('Receptive field', 'none: regions may lie anywhere in the image') : []),
    ...(field === null
      ? []
      : [
          ...fact('Receptive field', both(field.size, ' pixels')),
          ...fact('Effective stride', both(field.stride)),
          ...fact('Begins at pixel', both(field.start)),
        ]),
  ];
}

function operation(index) {
  const card = net.cards[net.layers[index].card];
  const { measured } = card;
  return [
    card.layers.length === 1 ? null : html('h3', {}, `Runs as one operation of ${card.layers.length} layers`),
    card.layers.length === 1 ? null : html('p', {}, ...links(card.layers)),
    card.note === null ? null : html('p', { class: 'muted' }, card.note),
    ...(measured === null ? [] : timing(card, measured)),
  ];
}

function timing(card, { milliseconds: time, implementation, bound, limit }) {
  const share = Math.min(bound / time, 1);
  const whole = net.totals.milliseconds;
  const rate = (value, unit) => `${(value / (time * 1e6)).toPrecision(3)} ${unit}`;
  return [
    html('h3', {}, 'Measured'),
    html(
      'p',
      {},
      `${milliseconds(time)}${whole ? `, ${((100 * time) / whole).toFixed(1)}% of the whole` : ''}`,
    ),
    html(
      'div',
      { class: 'bar', title: 'bound ÷ time' },
      html('i', { style: `width:${(100 * share).toFixed(1)}%` }),
    ),
    html(
      'p',
      {},
      `Roofline bound ${milliseconds(bound)} (${limit}): ${(100 * share).toFixed(0)}% of what the roofs allow`,
    ),
    html(
      'p',
      { class: 'muted' },
      `${card.macs > 0 ? `${rate(2 * card.macs, 'GFLOP/s')}, ` : ''}${rate(card.bytes, 'GB/s')}, by ${implementation}. Roofs: ${net.roofs.gflops.toPrecision(3)} GFLOP/s and ${net.roofs.gigabytes.toPrecision(3)} GB/s, ${net.roofs.source}.`,
    ),
  ];
}

function picture(title, shown) {
  if (shown === undefined) return [];
  const source = `data:image/png;base64,${shown.png}`;
  const image = html('img', { src: source, alt: `${title}: ${shown.caption}` });
  const caption = html('p', { class: 'muted' }, shown.caption);
  if (shown.scales === undefined) return [html('h3', {}, title), image, caption];
  const show = () => {
    const isShared = box.checked;
    scaleIsShared = isShared;
    image.src = isShared ? onOneScale(original, shown.scales) : source;
    caption.textContent = isShared ? shown.scales.caption : shown.caption;
    image.alt = `${title}: ${caption.textContent}`;
  };
  const original = html('img', { src: source, onload: () => scaleIsShared && show() });
  const box = html('input', { type: 'checkbox', checked: scaleIsShared, onchange: show });
  return [html('h3', {}, title), image, html('label', {}, box, ' one scale for all tiles'), caption];
}

/** The choice stays the same from layer to layer. */
let scaleIsShared = false;

/** The picture with every tile as bright as its values are relative to the other tiles. */
function onOneScale(image, { columns, width, height, shares, zero }) {
  const canvas = html('canvas', { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  shares.forEach((share, i) => {
    const [left, top] = [(i % columns) * (width + 1), Math.floor(i / columns) * (height + 1)];
    const tile = context.getImageData(left, top, width, height);
    for (let at = 0; at < tile.data.length; at += 4)
      tile.data.fill(zero + share * (tile.data[at] - zero), at, at + 3);
    context.putImageData(tile, left, top);
  });
  return canvas.toDataURL();
}

function pictures(index) {
  const found = picturesOf(index);
  if (found === undefined) return [];
  const largest = found.largest ?? [];
  return [
    ...picture('Activation', found.activation),
    ...(largest.length === 0
      ? []
      : [
          html('h3', {}, 'Largest values'),
          html(
            'table',
            {},
            ...largest.map(({ index: i, label, value }) =>
              html('tr', {}, html('td', {}, label ?? `${i}`), html('td', {}, value.toPrecision(4))),
            ),
          ),
        ]),
    ...picture('Filters', found.filters),
    ...(found.statistics ?? []).map((text) => html('p', { class: 'muted' }, text)),
  ];
}

onChoice((index) => {
  panel.hidden = index === null;
  if (index === null) {
    byId('graph').focus({ preventScroll: true });
    return;
  }
  const layer = net.layers[index];
  panel.replaceChildren(
    html(
      'button',
      { class: 'close', type: 'button', 'aria-label': 'Close', onclick: () => choose(null) },
      '✕',
    ),
    html('h2', {}, layer.name || `layer ${index + 1}`),
    html(
      'p',
      { class: 'muted' },
      `${layer.type} ${layer.detail}`.trim() + (layer.line === null ? '' : `, line ${layer.line}`),
    ),
    ...(layer.problem === null
      ? []
      : [html('p', { class: 'problem' }, `resnode cannot run this layer: ${layer.problem}`)]),
    ...(layer.remark === null ? [] : [html('p', {}, layer.remark)]),
    html('dl', {}, ...blobFacts(layer), ...numberFacts(layer)),
    ...operation(index).filter((element) => element !== null),
    ...pictures(index),
    html('h3', {}, 'Prototxt'),
    html('pre', {}, layer.text),
  );
  panel.scrollTop = 0;
  // The panel takes its width first. The card must be visible in the rest.
  requestAnimationFrame(() => reveal(net.cards[layer.card]));
  const top = layer.tops[0];
  byId('announcement').textContent = `${layer.name}, ${layer.type}${top ? `, ${shapeText(top.shape)}` : ''}`;
});
