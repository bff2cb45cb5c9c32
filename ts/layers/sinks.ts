/**
 * Layers that only read: they have no tops, and their bottoms are not outputs of the net, except those of forks' layers
 * that write files (lmb-freiburg/flownet2, DeepLab v2): these files are not written.
 */
import { elementCount, showShape } from '../base/shape.ts';
import { warn } from '../base/warn.ts';
import type { LayerParameter, NetParameter } from '../caffe/net-parameter.ts';
import { ANY, type Count, type LayerContext } from './layer.ts';

interface Sink {
  readonly bottoms: Count;
  /** Its bottoms are outputs of the net. */
  readonly keeps?: true;
  check?(context: LayerContext): void;
}

export const sinkLayers: Readonly<Record<string, Sink>> = {
  Silence: { bottoms: ANY },
  HDF5Output: { bottoms: [2, 2], check: checkHdf5Output },
  ...Object.fromEntries(
    ['FLOWriter', 'FloatWriter', 'ImgWriter', 'MatWrite', 'PFMWriter'].map((type): [string, Sink] => [
      type,
      { bottoms: ANY, keeps: true, check: warnOfFile },
    ]),
  ),
};

export const isSink = (type = ''): boolean => Object.hasOwn(sinkLayers, type);

/** An HDF5Output layer: the blobs that a run writes, and the file. */
export interface Hdf5Output {
  readonly layer: string;
  /** As written. */
  readonly file: string;
  /** The blobs. No in-place layer changes a blob with another reader. */
  readonly data: string;
  readonly label: string;
}

/** The HDF5Output layers of a net that is filtered for its state. */
export function hdf5Outputs({ layer: layers = [] }: NetParameter): Hdf5Output[] {
  return layers.flatMap((layer) => {
    if (layer.type !== 'HDF5Output') return [];
    const [data = '', label = ''] = layer.bottom ?? [];
    return [{ layer: layer.name ?? '', file: fileOf(layer), data, label }];
  });
}

/** The blobs that HDF5Output layers need from a run, in addition to the net's outputs. */
export const hdf5Blobs = (outputs: readonly Hdf5Output[]): string[] => [
  ...new Set(outputs.flatMap(({ data, label }) => [data, label])),
];

const fileOf = ({ hdf5_output_param: param }: LayerParameter): string => String(param?.file_name ?? '');

function warnOfFile({ layer: { name = '', type = '', bottom = [] } }: LayerContext): void {
  warn(
    'graph/unwritten',
    `layer "${name}" (${type}): writes no file; ${bottom.map((each) => `"${each}"`).join(' and ')} ${bottom.length === 1 ? 'is an output' : 'are outputs'} of the net`,
  );
}

function checkHdf5Output(context: LayerContext): void {
  const [data, label] = context.shapes.map((shape) => shape[0] ?? 1);
  if (fileOf(context.layer) === '')
    context.fail('shape', 'hdf5_output_param has no file_name; give the file to write', 'hdf5_output_param');
  if (data !== label)
    context.fail(
      'shape',
      `writes as many rows of data as of label; its bottoms are ${context.shapes.map(showShape).join(' and ')}`,
    );
}

/** A blob's shape in the file: Caffe's num, channels, height and width. Shapes with more axes stay unchanged. */
export const fileShape = (shape: readonly number[]): readonly number[] =>
  shape.length > 4 || elementCount(shape) === 0 ? shape : [...shape, 1, 1, 1, 1].slice(0, 4);
