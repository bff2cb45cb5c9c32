/** The open layer. */

const listeners = [];
let chosen = null;

/** Index of the open layer, or null. */
export const chosenLayer = () => chosen;

/** Opens a layer, or closes it with null. */
export function choose(layer) {
  if (layer === chosen) return;
  chosen = layer;
  for (const listener of listeners) listener(layer);
}

export const onChoice = (listener) => listeners.push(listener);
