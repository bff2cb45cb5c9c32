/** AnnotatedDatum of SSD's fork (weiliu89/caffe, branch ssd: caffe.proto): a Datum and the boxes of its objects. */

import { DataError, WeightsError } from '../base/errors.ts';
import { bytesField, integerField, readFields, varint, type WireField } from '../caffe/wire.ts';
import { type Datum, readDatum } from './datum.ts';

/** A box in shares of the image, from 0 to 1. */
export interface Box {
  readonly xmin: number;
  readonly ymin: number;
  readonly xmax: number;
  readonly ymax: number;
}

/** An object of an image. */
export interface Annotation extends Box {
  /** The class; 0 is the background. */
  readonly label: number;
  /** The index among the objects of its class in this image, from 0. */
  readonly instance: number;
  /** Whether the object is hard to see; losses and evaluations may ignore it. */
  readonly difficult: boolean;
}

export interface AnnotatedDatum {
  readonly datum: Datum;
  /** Null if the record has no annotation type and therefore no boxes; then the Datum's label counts. */
  readonly annotations: readonly Annotation[] | null;
}

// Field numbers of caffe.proto.
const ANNOTATED = { datum: 1, type: 2, group: 3 };
const GROUP = { label: 1, annotation: 2 };
const ANNOTATION = { instance: 1, box: 2 };
const BOX = { xmin: 1, ymin: 2, xmax: 3, ymax: 4, difficult: 6 };

/**
 * Reads an AnnotatedDatum; the pixels are a view of `bytes`.
 * @param at The database and the record's key, for errors.
 * @throws DataError `data/datum` if it is truncated or not an AnnotatedDatum
 */
export function readAnnotatedDatum(bytes: Uint8Array, at: { file: string; key: string }): AnnotatedDatum {
  const { datum, annotations } = parse(bytes, at);
  if (datum === null)
    throw new DataError(
      'data/datum',
      { file: at.file },
      `record "${at.key}": this is not an AnnotatedDatum, it has no datum; a Data layer reads a database of Datums`,
    );
  return { datum: readDatum(datum, at), annotations };
}

/**
 * The number of boxes of a record; its pixels are not read.
 * @throws DataError
 */
export function countAnnotations(bytes: Uint8Array, at: { file: string; key: string }): number {
  return parse(bytes, at).annotations?.length ?? 0;
}

function parse(bytes: Uint8Array, { file, key }: { file: string; key: string }) {
  const context = { file, what: `record "${key}"` };
  let datum: Uint8Array | null = null;
  let type: number | null = null;
  const annotations: Annotation[] = [];
  try {
    for (const field of readFields(bytes, context)) {
      if (isMessage(field, ANNOTATED.datum)) datum = field.bytes;
      else if (field.number === ANNOTATED.type && field.wireType === 0) type = field.value;
      else if (isMessage(field, ANNOTATED.group)) annotations.push(...readGroup(field.bytes, context));
    }
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    throw new DataError(
      'data/datum',
      { file },
      `record "${key}": this is not a complete AnnotatedDatum (${error.message.replace(/^.*byte \d+: /, '')}); a Data layer reads a database of Datums`,
      { cause: error },
    );
  }
  return { datum, annotations: type === null && annotations.length === 0 ? null : annotations };
}

const isMessage = ({ number, wireType }: WireField, expected: number) =>
  number === expected && wireType === 2;

function readGroup(bytes: Uint8Array, context: { file: string; what: string }): Annotation[] {
  let label = 0;
  const found: Omit<Annotation, 'label'>[] = [];
  for (const field of readFields(bytes, context)) {
    if (field.number === GROUP.label && field.wireType === 0) label = field.value;
    else if (isMessage(field, GROUP.annotation)) found.push(readAnnotation(field.bytes, context));
  }
  return found.map((annotation) => ({ ...annotation, label }));
}

function readAnnotation(
  bytes: Uint8Array,
  context: { file: string; what: string },
): Omit<Annotation, 'label'> {
  let instance = 0;
  let difficult = false;
  const sides = [0, 0, 0, 0];
  for (const field of readFields(bytes, context)) {
    if (field.number === ANNOTATION.instance && field.wireType === 0) instance = field.value;
    if (!isMessage(field, ANNOTATION.box)) continue;
    for (const side of readFields(field.bytes, context)) {
      if (side.wireType === 5 && side.number >= BOX.xmin && side.number <= BOX.ymax)
        sides[side.number - 1] = floatOf(side.bytes);
      else if (side.wireType === 0 && side.number === BOX.difficult) difficult = side.value !== 0;
    }
  }
  const [xmin = 0, ymin = 0, xmax = 0, ymax = 0] = sides;
  return { xmin, ymin, xmax, ymax, instance, difficult };
}

const floatOf = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);

/**
 * The bytes of a record.
 * @param datum The result of `writeDatum`.
 */
export function writeAnnotatedDatum(datum: Uint8Array, annotations: readonly Annotation[]): Buffer {
  const labels = [...new Set(annotations.map(({ label }) => label))];
  const groups = labels.map((label) =>
    bytesField(
      ANNOTATED.group,
      Buffer.concat([
        integerField(GROUP.label, label),
        ...annotations
          .filter((annotation) => annotation.label === label)
          .map((annotation) => bytesField(GROUP.annotation, writeAnnotation(annotation))),
      ]),
    ),
  );
  return Buffer.concat([bytesField(ANNOTATED.datum, datum), integerField(ANNOTATED.type, 0), ...groups]);
}

function writeAnnotation({ instance, difficult, ...box }: Annotation): Buffer {
  const sides = (['xmin', 'ymin', 'xmax', 'ymax'] as const).map((side) => floatField(BOX[side], box[side]));
  const bytes = Buffer.concat([...sides, integerField(BOX.difficult, Number(difficult))]);
  return Buffer.concat([integerField(ANNOTATION.instance, instance), bytesField(ANNOTATION.box, bytes)]);
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint(field * 8 + 5), bytes]);
}
