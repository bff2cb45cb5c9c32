/** `.caffemodel` (a binary NetParameter) and `.binaryproto` (a binary BlobProto) → named blobs, as views. */

import { WeightsError } from '../base/errors.ts';
import { MAX_DIMENSIONS, MAX_LAYERS } from '../base/files.ts';
import { fromFloat16 } from '../base/half-floats.ts';
import { instance, type Kind, list, string } from '../base/kinds.ts';
import { fields, optional, options, required, signature } from '../base/options.ts';
import { elementCount } from '../base/shape.ts';
import { type Blob, blob } from './blob.ts';
import { enums } from './schema.ts';
import { v1TypeName } from './upgrade.ts';
import { FieldBudget, packedVarints, readFields } from './wire.ts';
import { wrongKind } from './wrong-kind.ts';

export interface WeightsLayer {
  readonly name: string;
  readonly type: string;
  readonly blobs: readonly Blob[];
  /** The file of this layer, if it is not the file of the other layers. */
  readonly file?: string;
}

export interface WeightsFile {
  readonly file: string;
  readonly name: string;
  readonly layers: readonly WeightsLayer[];
}

export const weightsLayers: Kind<readonly WeightsLayer[]> = list(
  fields<WeightsLayer>('a layer of weights, { name, type, blobs }', {
    name: required(string, "The layer's name."),
    type: required(string, "The layer's type; it may be empty."),
    blobs: required(list(blob, { of: 'blobs' }), "The layer's blobs, in Caffe's order."),
    file: optional(string, "the others'", 'The file that the layer comes from.'),
  }),
  { of: 'layers' },
);

export const weightsFile: Kind<WeightsFile> = fields<WeightsFile>('a WeightsFile, { file, name, layers }', {
  file: required(string, 'The name of the file in errors.'),
  name: required(string, "The net's name."),
  layers: required(weightsLayers, 'The layers with their blobs.'),
});

// Field numbers of caffe.proto: NetParameter.name 1, layers 2 (V1), layer 100 (V2).
const LAYER = { name: 1, type: 2, blobs: 7 };
const V1_LAYER = { v0: 1, name: 4, type: 5, blobs: 6 };
const V0_LAYER = { name: 1, type: 2, blobs: 50 };
const BLOB = {
  num: 1,
  channels: 2,
  height: 3,
  width: 4,
  data: 5,
  shape: 7,
  doubleData: 8,
  rawType: 10,
  raw: 12,
};

// NVIDIA's Caffe stores blobs as plain bytes of its enum Type: DOUBLE, FLOAT, FLOAT16.
const RAW_TYPES = ['float64', 'float32', 'float16'] as const;
const MAX_ELEMENTS = 2 ** 31 - 1; // Caffe counts elements in an int.

const READ_CAFFEMODEL = signature('readCaffemodel', {
  bytes: required(instance('a Buffer or Uint8Array', Uint8Array), 'The bytes of the file.'),
  options: required(
    options<{ file: string }>({ file: required(string, 'The name of the file in errors.') }),
    'The name of the file.',
  ),
});

/**
 * Reads the layers of a caffemodel. Their blobs are views into `bytes`.
 * @param bytes The file, mapped or read.
 * @param options.file The name for errors.
 * @throws WeightsError with the byte offset, or with the layer and blob.
 * @example const { layers } = readCaffemodel(readFileSync(file), { file });
 */
export function readCaffemodel(bytes: Uint8Array, options: { file: string }): WeightsFile {
  READ_CAFFEMODEL.check(bytes, options);
  const { file } = options;
  // For Caffe an empty file is a net without layers. The readers of files refuse it (read-weights.ts).
  if (bytes.length > 0) refuseOthers(bytes, 'caffemodel', file);
  const layers: WeightsLayer[] = [];
  let name = '';
  const budget = new FieldBudget();
  for (const field of readFields(bytes, { file, what: 'NetParameter', budget })) {
    if (field.wireType !== 2) continue;
    if (layers.length >= MAX_LAYERS)
      throw new WeightsError('weights/limit', { file }, `it has more than ${MAX_LAYERS} layers`);
    if (field.number === 1) name = text(field.bytes);
    else if (field.number === 100) layers.push(readLayer(field.bytes, file, LAYER, layers.length, budget));
    else if (field.number === 2) layers.push(readV1Layer(field.bytes, file, layers.length, budget));
  }
  return { file, name, layers };
}

const READ_BINARYPROTO = signature('readBinaryproto', {
  bytes: required(instance('a Buffer or Uint8Array', Uint8Array), 'The bytes of the file.'),
  options: required(
    options<{ file: string }>({ file: required(string, 'The name of the file in errors.') }),
    'The name of the file.',
  ),
});

/**
 * Reads a BlobProto, e.g. a mean image `[1, channels, height, width]`.
 * @throws WeightsError
 */
export function readBinaryproto(bytes: Uint8Array, options: { file: string }): Blob {
  READ_BINARYPROTO.check(bytes, options);
  refuseOthers(bytes, 'mean', options.file);
  const blob = readBlob(bytes, options.file, 'BlobProto');
  if (blob.bytes.length === 0) {
    throw new WeightsError(
      'weights/empty',
      { file: options.file },
      'this .binaryproto holds no values; expected a BlobProto such as a mean image',
    );
  }
  return blob;
}

function refuseOthers(bytes: Uint8Array, needed: 'caffemodel' | 'mean', file: string): void {
  const wrong = wrongKind(bytes, needed);
  if (wrong !== null) throw new WeightsError('weights/wrong-kind', { file }, wrong);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

function readLayer(
  bytes: Uint8Array,
  file: string,
  numbers: { name: number; type: number; blobs: number },
  index: number,
  budget: FieldBudget,
): WeightsLayer {
  let name = '';
  let type = '';
  const blobs: Uint8Array[] = [];
  for (const field of readFields(bytes, { file, what: `layer ${index}`, budget })) {
    if (field.wireType === 2 && field.number === numbers.name) name = text(field.bytes);
    else if (field.wireType === 2 && field.number === numbers.type) type = text(field.bytes);
    else if (field.wireType === 0 && field.number === numbers.type) {
      const known = Object.entries(enums['V1LayerParameter.LayerType']!).find(
        ([, value]) => value === field.value,
      );
      type = known === undefined ? `type ${field.value}` : v1TypeName(known[0]);
    } else if (field.wireType === 2 && field.number === numbers.blobs) blobs.push(field.bytes);
  }
  return {
    name,
    type,
    blobs: blobs.map((blob, i) => readBlob(blob, file, `layer "${name}", blob ${i}`, budget)),
  };
}

function readV1Layer(bytes: Uint8Array, file: string, index: number, budget: FieldBudget): WeightsLayer {
  for (const field of readFields(bytes, { file, what: `layer ${index}`, budget })) {
    if (field.number === V1_LAYER.v0 && field.wireType === 2)
      return readLayer(field.bytes, file, V0_LAYER, index, budget);
  }
  return readLayer(bytes, file, V1_LAYER, index, budget);
}

/**
 * Reads a BlobProto inside another message.
 * @internal
 */
export function readBlob(bytes: Uint8Array, file: string, what: string, budget = new FieldBudget()): Blob {
  let shape: number[] | null = null;
  const legacy = [0, 0, 0, 0];
  let hasLegacy = false;
  const floats: Uint8Array[] = [];
  const doubles: Uint8Array[] = [];
  let rawType: number | null = null;
  let raw: Uint8Array | null = null;
  for (const field of readFields(bytes, { file, what, budget })) {
    const { number, wireType } = field;
    if (number >= BLOB.num && number <= BLOB.width && wireType === 0) {
      legacy[number - 1] = field.value;
      hasLegacy = true;
    } else if (number === BLOB.shape && wireType === 2) {
      shape ??= [];
      for (const dim of readFields(field.bytes, { file, what: `${what}, shape`, budget })) {
        if (dim.number === 1) for (const each of packedVarints(dim, { file, what })) shape.push(each);
        if (shape.length > MAX_DIMENSIONS)
          throw new WeightsError(
            'weights/shape',
            { file },
            `${what}: a shape cannot have more than ${MAX_DIMENSIONS} dimensions; the file is damaged`,
          );
      }
    } else if (number === BLOB.data && (wireType === 2 || wireType === 5)) floats.push(field.bytes);
    else if (number === BLOB.doubleData && (wireType === 2 || wireType === 1)) doubles.push(field.bytes);
    else if (number === BLOB.rawType && wireType === 0) rawType = field.value;
    else if (number === BLOB.raw && wireType === 2) raw = field.bytes;
  }
  if (raw !== null) {
    const type = RAW_TYPES[rawType ?? 0];
    if (type === undefined)
      throw new WeightsError(
        'weights/raw-type',
        { file },
        `${what}: raw values have the unknown type ${rawType}`,
      );
    if (type === 'float64') doubles.push(raw);
    else floats.push(type === 'float32' ? raw : bytesOf(fromFloat16(raw)));
  }
  // If any of the legacy 4-D dims is set, Caffe uses them instead of shape (Blob::FromProto).
  const dims = hasLegacy ? legacy : (shape ?? []);
  const count = elementCount(dims);
  if (!dims.every((dim) => Number.isInteger(dim) && dim >= 0) || !(count <= MAX_ELEMENTS)) {
    throw new WeightsError(
      'weights/shape',
      { file },
      `${what}: the shape ${dims.join('×')} is invalid; the file is damaged`,
    );
  }
  const dtype = doubles.length > 0 ? 'float64' : 'float32';
  const parts = dtype === 'float64' ? doubles : floats;
  const size = dtype === 'float64' ? 8 : 4;
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length !== count * size) {
    throw new WeightsError(
      'weights/data-size',
      { file },
      `${what}: shape ${dims.join('×') || '[] (a scalar)'} needs ${count} values, the file has ${length / size}`,
    );
  }
  return { shape: dims, dtype, bytes: parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts)) };
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
