/**
 * Checkpoints of TensorFlow's Saver. Version 1 is one table, whose values contain the tensors
 * (saved_tensor_slice.proto). Version 2 has a table NAME.index with the positions of the tensors in
 * NAME.data-00000-of-00001 (tensor_bundle.proto).
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { WeightsError } from '../../base/errors.ts';
import { MAX_DIMENSIONS, MAX_TENSORS } from '../../base/files.ts';
import { elementCount } from '../../base/shape.ts';
import { FieldBudget, readFields, type WireField } from '../../caffe/wire.ts';
import { maskedCrc } from '../../data/leveldb/checked-bytes.ts';
import { mapFile } from '../map-file.ts';
import {
  byteCountOf,
  type FloatType,
  type SourceTensor,
  type SourceTensors,
  sourceTensor,
} from '../source-tensor.ts';
import { tableOf } from './checkpoint-name.ts';
import { checkpointError, readTable } from './sstable.ts';

/** The floats of types.proto's DataType, which are read. */
const TYPES: Readonly<
  Record<number, { readonly name: string; readonly size: number; readonly kind: FloatType | null }>
> = {
  1: { name: 'DT_FLOAT', size: 4, kind: 'float32' },
  2: { name: 'DT_DOUBLE', size: 8, kind: 'float64' },
  3: { name: 'DT_INT32', size: 4, kind: null },
  4: { name: 'DT_UINT8', size: 1, kind: null },
  6: { name: 'DT_INT8', size: 1, kind: null },
  9: { name: 'DT_INT64', size: 8, kind: null },
  10: { name: 'DT_BOOL', size: 1, kind: null },
  14: { name: 'DT_BFLOAT16', size: 2, kind: 'bfloat16' },
  19: { name: 'DT_HALF', size: 2, kind: 'float16' },
};

/**
 * The tensors by name. Those of version 2 stay views of the mapped data until they are read.
 * @throws WeightsError `tensorflow/format` for a damaged file, `tensorflow/unsupported` for partitioned variables
 */
export async function readCheckpoint(path: string): Promise<SourceTensors> {
  const file = tableOf(path);
  const table = await readTable(file);
  const first = table.get('');
  if (first === undefined) throw checkpointError(file, 'it has no header: another program wrote the table');
  const context = { file, what: 'the header', budget: new FieldBudget() };
  // BundleHeaderProto begins with num_shards, SavedTensorSlices with its meta.
  const fields = [...readFields(first, context)];
  return fields.some(({ number, wireType }) => number === 1 && wireType === 2)
    ? readSlices(table, fields, file, context.budget)
    : readBundle(table, fields, file, context.budget);
}

function readBundle(
  table: ReadonlyMap<string, Buffer>,
  header: readonly WireField[],
  file: string,
  budget: FieldBudget,
): SourceTensors {
  const shards = integerOf(header, 1) ?? 1;
  if (integerOf(header, 2) === 1)
    throw new WeightsError(
      'tensorflow/unsupported',
      { file },
      'its values are big-endian; save it again on a little-endian machine',
    );
  if (!(shards >= 1 && shards <= 99_999)) throw checkpointError(file, `it has ${shards} files of data`);
  const stem = file.replace(/\.index$/, '');
  const maps = new Map<number, Uint8Array>();
  const dataOf = (shard: number): Uint8Array => {
    const number = (value: number) => String(value).padStart(5, '0');
    const data = join(dirname(stem), `${basename(stem)}.data-${number(shard)}-of-${number(shards)}`);
    if (!existsSync(data))
      throw new WeightsError(
        'tensorflow/data',
        { file },
        `its values are in ${basename(data)}, which is missing; keep it beside the index`,
      );
    const bytes = maps.get(shard) ?? mapFile(data);
    maps.set(shard, bytes);
    return bytes;
  };
  const tensors = new Map<string, SourceTensor>();
  for (const [key, value] of table) {
    if (key === '') continue;
    const name = Buffer.from(key, 'latin1').toString('utf8');
    const fields = [...readFields(value, { file, what: `"${name}"`, budget })];
    const shape = shapeOf(fields.find(({ number }) => number === 2)?.bytes, name, file, budget);
    const type = typeOf(integerOf(fields, 1) ?? 0);
    const [shard = 0, offset = 0, size = 0] = [3, 4, 5].map((number) => integerOf(fields, number));
    const isSplit = fields.some(({ number }) => number === 7);
    const crc = fields.find(({ number, wireType }) => number === 6 && wireType === 5)?.bytes;
    if (shard >= shards || shard < 0)
      throw checkpointError(file, `"${name}" is in file ${shard} of ${shards}`);
    tensors.set(
      name,
      sourceTensor({ file, name }, type.name, type.kind, shape, () => {
        if (isSplit) throw split(file, name);
        const data = dataOf(shard);
        if (size !== byteCountOf(shape, type.size) || offset < 0 || offset + size > data.length)
          throw checkpointError(
            file,
            `"${name}" of ${shape.join('×')} has ${size} bytes from ${offset}, but its data file has ${data.length}`,
          );
        const bytes = data.subarray(offset, offset + size);
        if (crc !== undefined && maskedCrc(bytes) !== Buffer.from(crc).readUInt32LE(0))
          throw checkpointError(file, `the checksum of "${name}" is wrong`);
        return bytes;
      }),
    );
  }
  return tensors;
}

/** SavedTensorSlices: meta { tensor { name, shape, type, slice } } under the first key, then data { name, slice, tensor }. */
function readSlices(
  table: ReadonlyMap<string, Buffer>,
  header: readonly WireField[],
  file: string,
  budget: FieldBudget,
): SourceTensors {
  const meta = new Map<string, { shape: readonly number[]; type: number; slices: number }>();
  for (const { bytes } of header.filter(({ number }) => number === 1))
    for (const tensor of readFields(bytes, { file, what: 'the list of tensors', budget })) {
      if (tensor.number !== 1 || tensor.wireType !== 2) continue;
      if (meta.size >= MAX_TENSORS) throw checkpointError(file, `it has more than ${MAX_TENSORS} tensors`);
      const fields = [...readFields(tensor.bytes, { file, what: 'a tensor', budget })];
      const name = textOf(fields, 1);
      const shape = shapeOf(fields.find(({ number }) => number === 2)?.bytes, name, file, budget);
      const slices = fields.filter(({ number }) => number === 4).length;
      meta.set(name, { shape, type: integerOf(fields, 3) ?? 0, slices });
    }
  const data = new Map<string, Uint8Array>();
  for (const [key, value] of table) {
    if (key === '') continue;
    for (const { number, bytes } of readFields(value, { file, what: 'a slice', budget })) {
      if (number !== 2) continue;
      const fields = [...readFields(bytes, { file, what: 'a slice', budget })];
      const tensor = fields.find((field) => field.number === 3 && field.wireType === 2);
      if (tensor !== undefined) data.set(textOf(fields, 1), tensor.bytes);
    }
  }
  const tensors = new Map<string, SourceTensor>();
  for (const [name, { shape, type, slices }] of meta) {
    const { name: typeName, size, kind } = typeOf(type);
    tensors.set(
      name,
      sourceTensor(
        { file, name },
        typeName,
        kind === 'float16' || kind === 'bfloat16' ? null : kind,
        shape,
        () => {
          if (slices > 1) throw split(file, name);
          const bytes = data.get(name);
          if (bytes === undefined) throw checkpointError(file, `the values of "${name}" are missing`);
          return valuesOf(bytes, byteCountOf(shape, size), kind === 'float64' ? 6 : 5, {
            file,
            what: `"${name}"`,
            budget,
          });
        },
      ),
    );
  }
  return tensors;
}

const split = (file: string, name: string) =>
  new WeightsError(
    'tensorflow/unsupported',
    { file },
    `"${name}" is saved in several slices (a partitioned variable); save the net without a partitioner`,
  );

/** TensorProto: float_val 5 or double_val 6, packed or not, or tensor_content 4. A single value is repeated. */
function valuesOf(
  bytes: Uint8Array,
  count: number,
  list: number,
  context: { file: string; what: string; budget: FieldBudget },
): Uint8Array {
  const size = list === 5 ? 4 : 8;
  const parts: Uint8Array[] = [];
  for (const field of readFields(bytes, context))
    if ((field.number === list && field.wireType !== 0) || field.number === 4) parts.push(field.bytes);
  const values = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  if (values.length === count) return values;
  throw checkpointError(
    context.file,
    `${context.what} has ${values.length / size} of ${count / size} values`,
  );
}

const typeOf = (type: number) => TYPES[type] ?? { name: `type ${type}`, size: 0, kind: null };

function shapeOf(bytes: Uint8Array | undefined, name: string, file: string, budget: FieldBudget): number[] {
  const shape: number[] = [];
  if (bytes === undefined) return shape;
  for (const { number, bytes: dim } of readFields(bytes, { file, what: `the shape of "${name}"`, budget }))
    if (number === 2)
      shape.push(integerOf([...readFields(dim, { file, what: 'a dimension', budget })], 1) ?? 0);
  if (shape.length > MAX_DIMENSIONS || shape.some((dim) => !(dim >= 0)) || !(elementCount(shape) < 2 ** 31))
    throw checkpointError(file, `"${name}" has the shape ${shape.slice(0, 8).join('×')}`);
  return shape;
}

const integerOf = (fields: readonly WireField[], number: number): number | undefined =>
  fields.find((field) => field.number === number && field.wireType === 0)?.value;

const textOf = (fields: readonly WireField[], number: number): string =>
  Buffer.from(fields.find((field) => field.number === number && field.wireType === 2)?.bytes ?? []).toString(
    'utf8',
  );
