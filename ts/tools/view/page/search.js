/** The search box. A layer's name, type or blobs must contain all words. */
import { byId, html } from './elements.js';
import { net } from './net.js';
import { choose } from './selection.js';

const SHOWN = 60;
const box = byId('search');
const list = byId('results');
const texts = net.layers.map(({ name, type, bottoms, tops }) =>
  [name, type, ...bottoms.map((blob) => blob.name), ...tops.map((blob) => blob.name)].join(' ').toLowerCase(),
);
let found = [];
let marked = 0;

/** Layers whose name begins with the words come before those whose name contains them. */
function search(text) {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  if (words.length === 0) return [];
  const rank = (index) => {
    const name = net.layers[index].name.toLowerCase();
    return name === words[0] ? 0 : name.startsWith(words[0]) ? 1 : name.includes(words[0]) ? 2 : 3;
  };
  return texts
    .flatMap((all, index) => (words.every((word) => all.includes(word)) ? [index] : []))
    .sort((a, b) => rank(a) - rank(b) || a - b);
}

function show() {
  found = search(box.value);
  marked = 0;
  const isEmpty = box.value.trim() === '';
  list.hidden = isEmpty;
  box.setAttribute('aria-expanded', String(!isEmpty));
  const items = found
    .slice(0, SHOWN)
    .map((index) =>
      html(
        'div',
        { role: 'option', onpointerdown: (event) => takeAt(event, index) },
        html('span', {}, net.layers[index].name),
        html('span', { class: 'none' }, net.layers[index].type),
      ),
    );
  if (found.length === 0)
    items.push(html('div', { class: 'none' }, 'No layer has this in its name, type or blobs.'));
  if (found.length > SHOWN) items.push(html('div', { class: 'none' }, `and ${found.length - SHOWN} more`));
  list.replaceChildren(...items);
  mark(0);
}

function mark(index) {
  const options = list.querySelectorAll('[role="option"]');
  marked = Math.max(0, Math.min(index, options.length - 1));
  options.forEach((option, i) => option.setAttribute('aria-selected', String(i === marked)));
  options[marked]?.scrollIntoView({ block: 'nearest' });
}

function take(index) {
  close();
  choose(index);
  byId('graph').focus({ preventScroll: true });
}

/** Runs before the box loses the focus, which would close the list. */
function takeAt(event, index) {
  event.preventDefault();
  take(index);
}

function close() {
  list.hidden = true;
  box.setAttribute('aria-expanded', 'false');
}

box.addEventListener('input', show);
box.addEventListener('focus', () => box.value.trim() !== '' && show());
box.addEventListener('blur', close);
box.addEventListener('keydown', (event) => {
  if (event.key === 'ArrowDown') mark(marked + 1);
  else if (event.key === 'ArrowUp') mark(marked - 1);
  else if (event.key === 'Enter' && found.length > 0) take(found[marked]);
  else if (event.key === 'Escape') {
    box.value = '';
    close();
    byId('graph').focus({ preventScroll: true });
  } else return;
  event.preventDefault();
  event.stopPropagation();
});

export function startSearch() {
  box.focus();
  box.select();
}
