/** What is said where a weights file lacks layers of the net: which they are, and what in the file may be theirs. */
import type { WeightsFile, WeightsLayer } from './caffemodel.ts';
import { sameShape, shapesText } from './weights-mismatch.ts';

type Shapes = readonly (readonly number[])[];

/** What the weights are for: a net that runs, one that learns, or another format, which knows no fillers. */
export type WeightsUse = 'run' | 'train' | 'write';

/** So many missing layers are told with what fits them; the others by name. */
const TOLD = 5;

/**
 * @param missing Layers of the net, in its order. @param shapes Of all its layers with parameters.
 * @returns A sentence that names the missing layers, every unmatched layer of the file with equal shapes, and the cures.
 */
export function missingWeights(
  missing: readonly string[],
  shapes: ReadonlyMap<string, Shapes>,
  weights: WeightsFile,
  use: WeightsUse,
): string {
  const unmatched = weights.layers.filter(({ name, blobs }) => blobs.length > 0 && !shapes.has(name));
  const fitting = (layer: string) => unmatched.filter((source) => fits(source, shapes.get(layer)!));
  const told = missing.slice(0, TOLD).map((layer) => {
    const found = fitting(layer);
    const renamed = found.map(({ name }) => `"${name}"`).join(', ');
    return `"${layer}" ${shapesText(shapes.get(layer)!)}${found.length === 0 ? '' : ` (the file has ${renamed} ${shapesText(shapes.get(layer)!)}: renamed?)`}`;
  });
  const rest = missing.slice(TOLD).map((layer) => `"${layer}"`);
  const isNone = missing.length === shapes.size;
  const partial = 'partialWeights: true (--partial-weights)';
  return [
    isNone
      ? `none of the net's ${missing.length} layers with parameters has weights in this file: ${[...told, ...rest].join(', ')}`
      : missing.length === 1
        ? `layer ${told[0]} has no weights in this file`
        : `${missing.length} layers have no weights in this file: ${[...told, ...rest].join(', ')}`,
    held(weights, unmatched, missing, isNone),
    {
      train: `give the weights of this net, or ${partial} to begin at the fillers`,
      run: `name the layers of the prototxt as the file does or give its own weights; ${partial} leaves them at their fillers`,
      write: 'name the layers of the prototxt as the file does, or give its own weights',
    }[use],
  ].join('; ');
}

/** What the file has that the net has not. */
function held(
  { name, layers }: WeightsFile,
  unmatched: readonly WeightsLayer[],
  missing: readonly string[],
  isNone: boolean,
): string {
  if (layers.every(({ blobs }) => blobs.length === 0)) return 'the file has no weights at all';
  const prefix = commonPrefix(unmatched, missing);
  if (prefix !== null) return `the file's names begin with "${prefix}", the net's do not`;
  if (unmatched.length === 0) return 'the file has no other layers';
  const first = unmatched
    .slice(0, TOLD)
    .map((layer) => `"${layer.name}" ${shapesText(layer.blobs.map(({ shape }) => shape))}`);
  const more = unmatched.length > TOLD ? ` and ${unmatched.length - TOLD} more` : '';
  const whose = name === '' ? '' : ` (of the net "${name}")`;
  return `the file${whose} has ${isNone ? '' : 'besides '}${first.join(', ')}${more}`;
}

/** What stands before the name of every missing layer in the file. */
function commonPrefix(unmatched: readonly WeightsLayer[], missing: readonly string[]): string | null {
  const names = unmatched.map(({ name }) => name);
  const first = names.find((name) => name.endsWith(missing[0]!) && name.length > missing[0]!.length);
  const prefix = first?.slice(0, -missing[0]!.length);
  return prefix !== undefined && missing.every((layer) => names.includes(prefix + layer)) ? prefix : null;
}

const fits = ({ blobs }: WeightsLayer, shapes: Shapes): boolean =>
  blobs.length === shapes.length && blobs.every(({ shape }, i) => sameShape(shape, shapes[i]!));
