/**
 * Writes a ResNet with MSRA's names as a checkpoint of ry/tensorflow-resnet: NAME.ckpt has version 1, NAME.ckpt.index
 * and its data have version 2.
 */
import { rmSync } from 'node:fs';
import { WeightsError } from '../../base/errors.ts';
import { writeFileAtomically } from '../../caffe/atomic-file.ts';
import { type Blob, toFloat32, toFloat64 } from '../../caffe/blob.ts';
import { bytesField, integerField, lengthDelimited, varint } from '../../caffe/wire.ts';
import { maskedCrc } from '../../data/leveldb/checked-bytes.ts';
import type { Values } from '../net-maker.ts';
import type { Network } from '../network.ts';
import { kernelToLast } from '../transposed-kernel.ts';
import { placeOf, portScope, variablesOf } from './resnet-names.ts';
import { tableChunks } from './sstable.ts';

interface Variable {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: () => Float32Array;
}

/** @throws WeightsError `convert/tensorflow` that names a layer without a place; ResnodeError `file/write` */
export function writeTensorflow(path: string, network: Network): void {
  const variables = variablesOfNet(network, path).sort((a, b) =>
    Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
  if (path.toLowerCase().endsWith('.index')) writeBundle(path, variables);
  else writeFileAtomically(path, tableChunks(slices(variables)));
}

function variablesOfNet({ net, weights }: Network, file: string): Variable[] {
  const blobs = new Map(weights.layers.map((layer) => [layer.name, layer.blobs]));
  const layers = net.layer ?? [];
  const isBottleneck = layers.some(({ name = '' }) => name.endsWith('_branch2c'));
  const refuse = (layer: string, text: string): never => {
    throw new WeightsError('convert/tensorflow', { file, layer }, `layer "${layer}" ${text}`);
  };
  const blobOf = (layer: string, index: number): Blob =>
    blobs.get(layer)?.[index] ??
    refuse(layer, `has no blob ${index}: the port needs a convolution, a BatchNorm and a Scale of each name`);
  const isSmall = blobOf('conv1', 0).shape[2] === 3;
  const variables: Variable[] = [];
  for (const { name = '', type = '' } of layers) {
    if (type === 'InnerProduct') {
      const [outputs = 0, inputs = 0] = blobOf(name, 0).shape.slice(-2);
      const matrix = () =>
        kernelToLast({ shape: [outputs, inputs], values: toFloat32(blobOf(name, 0)) }).values;
      variables.push({ name: 'fc/weights', shape: [inputs, outputs], values: matrix });
      variables.push({ name: 'fc/biases', shape: [outputs], values: () => toFloat32(blobOf(name, 1)) });
    }
    if (!['Convolution', 'BatchNorm', 'Scale'].includes(type)) continue;
    const place = placeOf(name);
    if (place === undefined)
      return refuse(
        name,
        `(${type}) is not named as a layer of MSRA's ResNets (conv1, res2a_branch2a, …), so the port has no counterpart for it`,
      );
    if (type !== 'Convolution') continue;
    const names = variablesOf(portScope(place, { isSmall, isBottleneck }));
    const suffix = place === null ? '_conv1' : name.slice('res'.length);
    const [norm, scale] = [`bn${suffix}`, `scale${suffix}`];
    const kernel: Values = { shape: blobOf(name, 0).shape, values: toFloat32(blobOf(name, 0)) };
    const [outputs = 0, inputs = 0, height = 1, width = 1] = kernel.shape;
    const factor = toFloat64(blobOf(norm, 2))[0]!;
    const statistic = (index: number) =>
      toFloat64(blobOf(norm, index)).map((value) => (factor === 0 ? 0 : value / factor));
    const bias = blobs.get(name)?.[1];
    variables.push(
      {
        name: names.weights,
        shape: [height, width, inputs, outputs],
        values: () => kernelToLast(kernel).values,
      },
      { name: names.gamma, shape: [outputs], values: () => toFloat32(blobOf(scale, 0)) },
      { name: names.beta, shape: [outputs], values: () => toFloat32(blobOf(scale, 1)) },
      {
        name: names.mean,
        shape: [outputs],
        // The port's convolutions have no bias, but the first one of ResNet-50 has: x + b − μ = x − (μ − b).
        values: () => {
          const offsets = bias === undefined ? null : toFloat64(bias);
          return Float32Array.from(statistic(0), (value, i) => value - (offsets?.[i] ?? 0));
        },
      },
      { name: names.variance, shape: [outputs], values: () => Float32Array.from(statistic(1)) },
    );
  }
  return variables;
}

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** TensorShapeProto. */
const shapeMessage = (shape: readonly number[]): Buffer =>
  Buffer.concat(shape.map((dim) => bytesField(2, integerField(1, dim))));
const FLOAT = integerField(1, 1);

/** saved_tensor_slice.proto: a slice of the whole tensor has an empty extent for each dimension. */
function* slices(variables: readonly Variable[]) {
  const wholeSlice = ({ shape }: Variable) => Buffer.concat(shape.map(() => bytesField(1, '')));
  const meta = variables.map((variable) =>
    bytesField(
      1,
      Buffer.concat([
        bytesField(1, variable.name),
        bytesField(2, shapeMessage(variable.shape)),
        integerField(3, 1),
        bytesField(4, wholeSlice(variable)),
      ]),
    ),
  );
  yield { key: Buffer.alloc(0), value: () => bytesField(1, Buffer.concat([...meta, bytesField(2, FLOAT)])) };
  for (const variable of variables)
    yield {
      key: sliceKey(variable),
      value: () => {
        const values = bytesOf(variable.values());
        // SavedSlice { name, slice, data: TensorProto { float_val } }
        const data = Buffer.concat([lengthDelimited(5, values.length), values]);
        return bytesField(
          2,
          Buffer.concat([
            bytesField(1, variable.name),
            bytesField(2, wholeSlice(variable)),
            bytesField(3, data),
          ]),
        );
      },
    };
}

/**
 * saved_tensor_slice_util.cc, EncodeTensorNameSlice: 0, the name, the rank, and (0, −1) for each dimension in
 * OrderedCode.
 */
function sliceKey({ name, shape }: Variable): Buffer {
  const escaped = Buffer.from(name).toString('latin1').replace(/\0/g, '\0\xff').replace(/\xff/g, '\xff\0');
  return Buffer.concat([
    Buffer.of(0),
    Buffer.from(escaped, 'latin1'),
    Buffer.of(0, 1, 1, shape.length),
    ...shape.map(() => Buffer.of(0x80, 0x7f)),
  ]);
}

/** tensor_bundle.proto. The data is written first, so that an index never refers to missing data. */
function writeBundle(path: string, variables: readonly Variable[]): void {
  const data = `${path.slice(0, -'.index'.length)}.data-00000-of-00001`;
  const entries: { key: Buffer; value: () => Uint8Array }[] = [
    // BundleHeaderProto { num_shards: 1, version { producer: 1 } }
    { key: Buffer.alloc(0), value: () => Buffer.concat([integerField(1, 1), bytesField(3, FLOAT)]) },
  ];
  let offset = 0;
  writeFileAtomically(
    data,
    (function* () {
      for (const { name, shape, values } of variables) {
        const bytes = bytesOf(values());
        const crc = Buffer.alloc(4);
        crc.writeUInt32LE(maskedCrc(bytes));
        const entry = Buffer.concat([
          integerField(1, 1),
          bytesField(2, shapeMessage(shape)),
          integerField(4, offset),
          integerField(5, bytes.length),
          varint(6 * 8 + 5),
          crc,
        ]);
        entries.push({ key: Buffer.from(name), value: () => entry });
        offset += bytes.length;
        yield bytes;
      }
    })(),
  );
  try {
    writeFileAtomically(path, tableChunks(entries));
  } catch (error) {
    rmSync(data, { force: true });
    throw error;
  }
}
