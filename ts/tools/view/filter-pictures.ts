/** Pictures of a layer's filters, and the distribution of the values of each of its blobs. */
import { oneOf } from '../../base/kinds.ts';
import { type Option, optional, options } from '../../base/options.ts';
import { warn } from '../../base/warn.ts';
import { toFloat32 } from '../../caffe/blob.ts';
import type { WeightsFile } from '../../caffe/caffemodel.ts';
import { type MatchOptions, matchOptions, matchWeights } from '../../caffe/match-weights.ts';
import { notFiniteWarnings, partialWarnings } from '../../caffe/weights-warnings.ts';
import type { Graph } from '../../graph/graph.ts';
import type { LayerPictures, Picture } from './page-data.ts';
import { type ColourPlane, greyText, type Plane, picture, rangeOf } from './tiles.ts';

export interface FilterOptions extends MatchOptions {
  /** The order of an image's channels, for filters of three channels, which are shown in colour. Default `BGR`. */
  readonly order?: 'BGR' | 'RGB';
}

/** How well the weights fit the net, and the meaning of its images' channels. */
export const filterOptions = options<FilterOptions>({
  strict: matchOptions.table.strict as Option<boolean>,
  partialWeights: matchOptions.table.partialWeights as Option<boolean>,
  reshapeWeights: matchOptions.table.reshapeWeights as Option<boolean>,
  order: optional(oneOf('BGR', 'RGB'), 'BGR', 'The order of the channels, by which filters are coloured.'),
});

const FILTERS = 8; // the number of outputs and inputs shown of a k×k convolution
const COLOURED = 64; // the number of filters shown if the inputs are an image's channels
const MATRIX = 64; // the number of outputs and inputs shown of a matrix

/**
 * Pictures of the filters of every layer that the weights fill, by layer name.
 * @param isSelected Layers whose pictures are made. The others only get statistics.
 * @throws WeightsError if the weights do not fit the net
 */
export async function filterPictures(
  graph: Graph,
  weights: WeightsFile,
  isSelected: (layer: string) => boolean,
  { order = 'BGR', ...options }: FilterOptions = {},
): Promise<Map<string, LayerPictures>> {
  const { blobs, report } = matchWeights(graph.parameters, weights, options);
  const notFinite = await notFiniteWarnings(graph.parameters, blobs, weights);
  for (const { code, message } of [...partialWarnings(report, weights), ...notFinite]) warn(code, message);
  const result = new Map<string, LayerPictures>();
  for (const [id, blob] of blobs.entries()) {
    if (blob === null) continue;
    const { layer, index, shape } = graph.parameters[id]!;
    const values = toFloat32(blob);
    const before = result.get(layer) ?? {};
    const filters = index === 0 && isSelected(layer) ? await filterPicture(shape, values, order) : null;
    result.set(layer, {
      ...before,
      ...(filters === null ? {} : { filters }),
      statistics: [...(before.statistics ?? []), `Blob ${index} (${shape.join('×')}): ${spread(values)}`],
    });
    // Sums over millions of values take long, so the event loop runs in between.
    await new Promise(setImmediate);
  }
  return result;
}

async function filterPicture(
  shape: readonly number[],
  values: Float32Array,
  order: 'BGR' | 'RGB',
): Promise<Picture | null> {
  const range = rangeOf(values);
  const greys = greyText(range);
  const [outputs = 0, inputs = 0, height = 1, width = 1] = shape;
  if (shape.length === 2 || (shape.length === 4 && height * width === 1)) {
    const plane: Plane = {
      height: Math.min(outputs, MATRIX),
      width: Math.min(inputs, MATRIX),
      at: (y, x) => values[y * inputs + x]!,
    };
    const caption = `Rows: outputs 0 to ${plane.height - 1} of ${outputs}; columns: inputs 0 to ${plane.width - 1} of ${inputs}; ${greys}.`;
    return picture([plane], 1, range, caption);
  }
  if (shape.length !== 4) return null;
  const kernel = (output: number, input: number): Plane => ({
    width,
    height,
    at: (y, x) => values[((output * inputs + input) * height + y) * width + x]!,
  });
  const list = (count: number) => Array.from({ length: count }, (_, i) => i);
  if (inputs === 3) {
    const shown = Math.min(outputs, COLOURED);
    const channels = order === 'RGB' ? [0, 1, 2] : [2, 1, 0];
    const planes = list(shown).map(
      (output) => channels.map((input) => kernel(output, input)) as unknown as ColourPlane,
    );
    const { minimum, maximum } = range;
    const most = Number(Math.max(-minimum, maximum).toPrecision(3));
    const caption = `Filters 0 to ${shown - 1} of ${outputs} in colour, channels as ${order === 'RGB' ? 'red, green, blue' : 'blue, green, red'}; middle grey is 0, and ±${most} is full colour.`;
    // Grey if the weights are not trained, regardless of signs.
    return picture(planes, Math.min(shown, 8), { minimum: -most, maximum: most }, caption);
  }
  if (inputs < 3) {
    const shown = Math.min(outputs, COLOURED);
    const planes = list(shown).flatMap((output) => list(inputs).map((input) => kernel(output, input)));
    const columns = inputs * Math.min(shown, inputs === 1 ? 8 : 4);
    return picture(
      planes,
      columns,
      range,
      `Filters 0 to ${shown - 1} of ${outputs}, ${inputs === 1 ? '' : `${inputs} channels side by side, `}${greys}.`,
    );
  }
  const rows = Math.min(outputs, FILTERS);
  const columns = Math.min(inputs, FILTERS);
  const planes = list(rows).flatMap((output) => list(columns).map((input) => kernel(output, input)));
  const caption = `Rows: filters 0 to ${rows - 1} of ${outputs}; columns: channels 0 to ${columns - 1} of ${inputs}; ${greys}.`;
  return picture(planes, columns, range, caption);
}

function spread(values: Float32Array): string {
  const { minimum, maximum } = rangeOf(values);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  const show = (value: number) => String(Number(value.toPrecision(4)));
  return `${show(minimum)} to ${show(maximum)}, mean ${show(mean)}, standard deviation ${show(deviation)}`;
}
