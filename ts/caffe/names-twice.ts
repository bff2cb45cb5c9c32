/** Layers with parameters that share a name: files keep weights by name, so that of two sets one is lost. */
import type { Warning } from '../base/warn.ts';

interface Parameter {
  readonly layer: string;
  readonly index: number;
}

/** Names that several layers with parameters of their own have; blobs shared by `param { name }` are one blob. */
export function namesTwice(parameters: readonly Parameter[]): string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const { layer, index } of parameters) {
    const key = `${index}/${layer}`;
    if (seen.has(key)) twice.add(layer);
    seen.add(key);
  }
  return [...twice];
}

/** One for each such name. */
export function namesTwiceWarnings(parameters: readonly Parameter[]): Warning[] {
  return namesTwice(parameters).map((name) => ({
    code: 'net/names-twice',
    message: `several layers with parameters are named "${name}": weights are kept by name, so that files hold one set for all of them and the net cannot be saved or loaded; give each layer a name of its own`,
  }));
}
