/** Reads a message in protobuf's wire format by the schema. Weights in it are skipped (`caffemodel.ts` reads them). */
import { forkFieldOf } from './fork-schema.ts';
import { type Message, recordMessage } from './message.ts';
import { enums, messages } from './schema.ts';
import { FieldBudget, packedVarints, readFields, type WireContext, type WireField } from './wire.ts';

const MAX_DEPTH = 100;
const UNSIGNED = 2 ** 32;

/**
 * @param type The message's name in caffe.proto.
 * @throws WeightsError with the byte at which it is not such a message
 */
export function decodeMessage(
  type: string,
  bytes: Uint8Array,
  file: string,
  depth = 0,
  budget = new FieldBudget(),
): Message {
  const byNumber = new Map(
    Object.entries(messages[type]!).map(([name, [number, definition]]) => [number, { name, definition }]),
  );
  const message: Message = {};
  recordMessage(message, { file, line: 1, column: 1 });
  const read = readFields(bytes, { file, what: type, budget });
  // Forks use the same number for different fields. The layer's type decides which is meant.
  const fields = type === 'LayerParameter' ? [...read] : read;
  const layerType = type === 'LayerParameter' ? typeOf(fields) : '';
  for (const field of fields) {
    const known = forkFieldOf(layerType, field.number) ?? byNumber.get(field.number);
    if (known === undefined || known.definition.endsWith('message:BlobProto') || depth > MAX_DEPTH) continue;
    const { name, definition } = known;
    const repeated = /^[*+]/.test(definition);
    const values = valuesOf(
      repeated ? definition.slice(1) : definition,
      field,
      { file, what: type, budget },
      depth,
    );
    if (repeated) {
      message[name] ??= [];
      for (const value of values) (message[name] as unknown[]).push(value);
    } else if (values.length > 0) message[name] = values.at(-1);
  }
  return message;
}

/** A layer's type: the last field with that number counts. */
function typeOf(fields: Iterable<WireField>): string {
  let found = '';
  const [number] = messages.LayerParameter!.type!;
  for (const field of fields)
    if (field.number === number && field.wireType === 2) found = Buffer.from(field.bytes).toString('utf8');
  return found;
}

function valuesOf(type: string, field: WireField, context: WireContext, depth: number): unknown[] {
  const [family, name] = type.split(':') as [string, string | undefined];
  const { wireType, bytes } = field;
  if (family === 'message')
    return wireType === 2 ? [decodeMessage(name!, bytes, context.file, depth + 1, context.budget)] : [];
  if (family === 'string') return wireType === 2 ? [Buffer.from(bytes).toString('utf8')] : [];
  if (family === 'bytes') return wireType === 2 ? [bytes] : [];
  if (family === 'float' || family === 'double') {
    const size = family === 'float' ? 4 : 8;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: Math.floor(bytes.length / size) }, (_, i) =>
      size === 4 ? view.getFloat32(4 * i, true) : view.getFloat64(8 * i, true),
    );
  }
  if (wireType !== 0 && wireType !== 2) return [];
  return packedVarints(field, context).flatMap((value): (string | number | boolean)[] => {
    if (family === 'bool') return [value !== 0];
    if (family === 'uint32') return [((value % UNSIGNED) + UNSIGNED) % UNSIGNED];
    if (family !== 'enum') return [value];
    return Object.entries(enums[name!]!).flatMap(([word, number]) => (number === value ? [word] : []));
  });
}
