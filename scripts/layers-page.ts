/** Writes docs/layers.md from the rules of ts/layers: `npm run layers-page`. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DATA_TYPES } from '../ts/layers/data.ts';
import { layerRules, supportedLayerTypes } from '../ts/layers/index.ts';
import type { Count } from '../ts/layers/layer.ts';
import { sinkLayers } from '../ts/layers/sinks.ts';

/** The page's path. */
export const LAYERS_PAGE = fileURLToPath(new URL('../docs/layers.md', import.meta.url));

const ONE: Count = [1, 1];

function range([least, most]: Count): string {
  if (least === most) return `${least}`;
  return Number.isFinite(most) ? `${least} to ${most}` : `${least} or more`;
}

const listed = (types: readonly string[]) =>
  types
    .toSorted()
    .map((type) => `\`${type}\``)
    .join(', ');

/** The whole page. */
export function layersPage(): string {
  const rows = supportedLayerTypes.map((type) => {
    const { bottoms = ONE, tops = ONE, eachBottom = false } = layerRules[type]!;
    return `| \`${type}\` | ${eachBottom ? '1 or more' : range(bottoms)} | ${eachBottom ? 'as bottoms' : range(tops)} |\n`;
  });
  return `# Layer types

Written by \`npm run layers-page\` from the rules of \`ts/layers\`; not to be edited by hand.

These are the layer types that resnode computes, Caffe's and those of its forks, with the numbers of bottoms and tops that
each accepts. [support.md](support.md#layers-of-forks) says what the layers of forks do and which fields they have.

| type | bottoms | tops |
|---|---|---|
${rows.join('')}
The tops of data layers are inputs of a net, or read from their files: ${listed(['Input', ...DATA_TYPES])}.

Layers without tops, which only read: ${listed(Object.keys(sinkLayers))}.

A \`Python\` layer becomes a function in JavaScript (\`registerLayers\`, or \`--layers FILE\`); those of some public modules are
built in.
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(LAYERS_PAGE, layersPage());
