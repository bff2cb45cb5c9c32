/** The net in the page's data, and the formatting of numbers. */

export const net = JSON.parse(document.getElementById('data').textContent);

let pictures = null;

/** A layer's pictures, or undefined. They are parsed when the first layer is opened. */
export function picturesOf(layer) {
  pictures ??= JSON.parse(document.getElementById('pictures').textContent);
  return pictures[layer];
}

/** `25.6 M` */
export function count(value) {
  if (value < 1e4) return value.toLocaleString('en-US');
  const units = ['', 'k', 'M', 'G', 'T'];
  const power = Math.min(Math.floor(Math.log10(value) / 3), units.length - 1);
  return `${(value / 1000 ** power).toPrecision(3)} ${units[power]}`;
}

/** `3.1 MiB` */
export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const power = value < 1 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), units.length - 1);
  return `${(value / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** `0.92 ms` */
export const milliseconds = (value) => `${value < 0.1 ? value.toFixed(3) : value.toFixed(2)} ms`;

/** `1×64×56×56`; `?` if it is unknown. */
export const shapeText = (shape) => (shape === null ? '?' : shape.length === 0 ? 'scalar' : shape.join('×'));
