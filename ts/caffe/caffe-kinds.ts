/** Kinds of argument that are Caffe's data: nets, solvers, blobs, weights; and nets and weights as files. */
import { either, integer, isObject, type Kind, kind, list, oneOf, string } from '../base/kinds.ts';
import { fields, required } from '../base/options.ts';
import { type FileSource, fileSource } from '../base/sources.ts';
import { type Blob, elementCountOf } from './blob.ts';
import type { WeightsFile, WeightsLayer } from './caffemodel.ts';
import { message } from './message-kind.ts';
import type { LayerParameter, NetParameter } from './net-parameter.ts';
import type { SolverParameter } from './solver-parameter.ts';
import type { SolverState } from './solver-state.ts';
import type { NetWeights } from './write-caffemodel.ts';

export const netParameter: Kind<NetParameter> = message('NetParameter');
export const layerParameter: Kind<LayerParameter> = message('LayerParameter');
export const solverParameter: Kind<SolverParameter> = message('SolverParameter');

const blobFields = fields<Blob>('a Blob, { shape, dtype, bytes }', {
  shape: required(list(integer(0), { of: 'dimensions' }), 'Dimensions, the outermost first.'),
  dtype: required(oneOf('float32', 'float64'), 'Type of the values.'),
  bytes: required(
    kind('a Uint8Array', (value) => value instanceof Uint8Array),
    'The values, little-endian.',
  ),
});

/** As many bytes as its shape and type say. */
export const blob: Kind<Blob> = {
  ...blobFields,
  mistake(value) {
    const mistake = blobFields.mistake(value);
    if (mistake !== null) return mistake;
    const { shape: dims, dtype, bytes } = value as Blob;
    const expected = elementCountOf(dims) * (dtype === 'float64' ? 8 : 4);
    if (bytes.length === expected) return null;
    return { path: '.bytes', expected: `${expected} bytes (${dims.join('×')} of ${dtype})`, actual: bytes };
  },
};

const weightsLayers = list(
  fields<WeightsLayer>('a layer of weights, { name, type, blobs }', {
    name: required(string, "The layer's name."),
    type: required(string, "The layer's type; may be empty."),
    blobs: required(list(blob, { of: 'blobs' }), 'Its blobs in their order.'),
  }),
  { of: 'layers' },
);

export const weightsFile: Kind<WeightsFile> = fields<WeightsFile>('a WeightsFile, { file, name, layers }', {
  file: required(string, 'Named in errors.'),
  name: required(string, "The net's name."),
  layers: required(weightsLayers, 'Layers with their blobs.'),
});

export const netWeights: Kind<NetWeights> = fields<NetWeights>('weights, { name, layers }', {
  name: required(string, "The net's name."),
  layers: required(weightsLayers, 'Layers with their blobs.'),
});

export const solverState: Kind<SolverState> = fields<SolverState>('a SolverState', {
  iter: required(integer(0), 'Iterations done.'),
  learned_net: required(string, 'The path of the weights.'),
  current_step: required(integer(0), 'Steps of the rate that were taken.'),
  history: required(list(blob, { of: 'blobs' }), 'One blob a learnable parameter and slot.'),
});

const looksLikePrototxt = (value: unknown) =>
  typeof value === 'string' && /[\n{]|^\s*(?:name|layers?|input)\s*:/.test(value);

const TEXT_HINT =
  'this is the text of a prototxt: give Buffer.from(text), or readNet(text, { file }) with a name for errors';

/** A prototxt as a file, or a net that was read. */
export const netSource: Kind<FileSource | NetParameter> = sourceOr(
  netParameter,
  looksLikePrototxt,
  TEXT_HINT,
);

/** Weights as a file, or ones that were read. */
export const weightsSource: Kind<FileSource | WeightsFile> = sourceOr(weightsFile, () => false, '');

function sourceOr<T>(read: Kind<T>, isText: (value: unknown) => boolean, hint: string): Kind<FileSource | T> {
  const { expected } = either(fileSource, read);
  return {
    expected,
    mistake(value) {
      if (isText(value)) return { path: '', expected, actual: value, hint };
      const isFile =
        !isObject(value) || value instanceof URL || ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
      const mistake = (isFile ? fileSource : read).mistake(value);
      return mistake?.path === '' && !mistake.expected.startsWith('the fields')
        ? { ...mistake, expected }
        : mistake;
    },
  };
}
