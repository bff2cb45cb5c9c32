/** All pictures of a page, within a limit: for nets with very many layers, one picture per fused operation. */

import { GraphError } from '../../base/errors.ts';
import { anything, having, list, record } from '../../base/kinds.ts';
import { fields, optional, required, signature } from '../../base/options.ts';
import { type WeightsFile, weightsFile } from '../../caffe/caffemodel.ts';
import { withWrittenBlobs } from '../../caffe/written-blobs.ts';
import { type Device, deviceLike } from '../../device/device.ts';
import type { Inputs } from '../../device/tensor.ts';
import { type ActivationOptions, activationOptions, activationPictures } from './activation-pictures.ts';
import type { Description } from './describe-net.ts';
import { type FilterOptions, filterOptions, filterPictures } from './filter-pictures.ts';
import type { LayerPictures, PagePictures } from './page-data.ts';

/** The maximal number of layers with a picture. A picture has 2 to 20 KB, so a page stays below about 15 MB. */
const MOST = 800;

/**
 * Chooses the layers with a picture: all, or the last of each card if that would be too many, or of evenly spread cards.
 * Layers without a known blob get none.
 */
export function picturedLayers({ data, layers }: Description): number[] {
  const isKnown = (index: number) => layers[index]!.tops[0]?.value != null;
  const all = layers.map((_, index) => index).filter(isKnown);
  if (all.length <= MOST) return all;
  const ends = data.cards.map((card) => card.layers.at(-1)!).filter(isKnown);
  const step = Math.ceil(ends.length / MOST);
  return ends.filter((_, i) => i % step === 0 || i === ends.length - 1);
}

const DESCRIPTION = required(
  fields<Description>('a Description of describeNet', {
    data: required(having<Description['data']>('an object'), 'The data of the page.'),
    layers: required(list(having<Description['layers'][number]>('a layer')), 'The layers with their shapes.'),
    partial: required(having<Description['partial']>('an object'), 'The graph.'),
  }),
  'The result of describeNet.',
);

const ADD_FILTERS = signature('addFilters', {
  description: DESCRIPTION,
  weights: required(weightsFile, 'The weights whose filters are drawn.'),
  options: optional(filterOptions, 'none', 'How the weights fill the net, and the order of the channels.'),
});

/**
 * Filters of the weights.
 * @throws WeightsError
 */
export async function addFilters(
  description: Description,
  weights: WeightsFile,
  options: FilterOptions = {},
): Promise<PagePictures> {
  ADD_FILTERS.check(description, weights, options);
  const { layers, partial } = description;
  const withFilters = layers.filter(({ layer }) => /Convolution|InnerProduct/.test(layer.type ?? ''));
  const step = Math.ceil(withFilters.length / MOST);
  const selected = new Set(withFilters.filter((_, i) => i % step === 0).map(({ layer }) => layer.name ?? ''));
  const all = withWrittenBlobs({ layer: layers.map(({ layer }) => layer) }, weights)!;
  const byName = await filterPictures(partial.graph, all, (name) => selected.has(name), options);
  const entries = layers.flatMap(({ layer }, index) => {
    const found = byName.get(layer.name ?? '');
    return found === undefined ? [] : [[index, found] as const];
  });
  return Object.fromEntries(entries);
}

const ADD_ACTIVATIONS = signature('addActivations', {
  pictures: required(having<PagePictures>('pictures'), 'Pictures that already exist.'),
  description: DESCRIPTION,
  device: required(deviceLike, 'A device of openDevice.'),
  inputs: required(record(anything), 'The inputs, as model.run takes them.'),
  options: required(activationOptions, 'The options of device.load.'),
});

/**
 * Adds activations of one image to existing pictures.
 * @throws GraphError `view/not-runnable` if a layer cannot run
 */
export async function addActivations(
  pictures: PagePictures,
  description: Description,
  device: Device,
  inputs: Inputs,
  options: ActivationOptions,
): Promise<PagePictures> {
  ADD_ACTIVATIONS.check(pictures, description, device, inputs, options);
  const problem = description.layers.find((layer) => layer.problem !== null);
  if (problem !== undefined)
    throw new GraphError(
      'view/not-runnable',
      { ...(problem.layer.name === undefined ? {} : { layer: problem.layer.name }) },
      `activations need a net that can be run, but ${problem.problem}; remove --image`,
    );
  const selected = picturedLayers(description);
  const drawn = await activationPictures(device, description.layers, selected, inputs, options);
  const result: Record<number, LayerPictures> = { ...pictures };
  for (const [index, { statistics = [], ...rest }] of drawn)
    result[index] = {
      ...result[index],
      ...rest,
      statistics: [...statistics, ...(result[index]?.statistics ?? [])],
    };
  return result;
}
