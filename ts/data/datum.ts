/** Caffe's Datum: one labelled image in a database. */

import { DataError, WeightsError } from '../base/errors.ts';
import { bytesField, integerField, readFields } from '../caffe/wire.ts';

export interface Datum {
  /** 0 if an encoded image does not specify it. */
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Null if it is missing; Caffe then uses 0. */
  readonly label: number | null;
  /** Whether `data` is an encoded image such as a JPEG or PNG. */
  readonly encoded: boolean;
  /** Channels × height × width bytes, or a whole encoded file; empty if there is `floatData`. */
  readonly data: Uint8Array;
  readonly floatData: Float32Array | null;
}

// The field numbers of caffe.proto, message Datum.
const DATUM = { channels: 1, height: 2, width: 3, data: 4, label: 5, floatData: 6, encoded: 7 };

/**
 * Reads a Datum; `data` is a view of `bytes`.
 * @param at The database and the record's key, for errors.
 * @throws DataError `data/datum` if it is truncated, not a Datum, or its sizes do not fit its data
 */
export function readDatum(bytes: Uint8Array, at: { file: string; key: string }): Datum {
  const what = `record "${at.key}"`;
  const fail = (text: string, options?: ErrorOptions): never => {
    throw new DataError('data/datum', { file: at.file }, `${what}: ${text}`, options);
  };
  const integers: (number | undefined)[] = [];
  let data: Uint8Array = bytes.subarray(0, 0);
  const floats: Uint8Array[] = [];
  try {
    for (const { number, wireType, value, bytes: payload } of readFields(bytes, { file: at.file, what })) {
      if (number === DATUM.data && wireType === 2) data = payload;
      else if (number === DATUM.floatData && (wireType === 2 || wireType === 5)) floats.push(payload);
      else if (number <= DATUM.encoded && wireType === 0) integers[number] = value;
    }
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    fail(`this is not a complete Datum (${error.message.replace(/^.*byte \d+: /, '')})`, { cause: error });
  }
  const integer = (number: number): number => integers[number] ?? 0;
  const [channels, height, width] = [DATUM.channels, DATUM.height, DATUM.width].map(integer) as [
    number,
    number,
    number,
  ];
  const encoded = integer(DATUM.encoded) !== 0;
  const floatData = data.length > 0 || floats.length === 0 ? null : floatsOf(floats);
  const count = channels * height * width;
  if (encoded && data.length === 0) fail('it is marked as encoded, but has no data');
  if (!encoded && !(count > 0 && count === (floatData ?? data).length))
    fail(
      `${channels}×${height}×${width} (channels, height, width) needs ${count} values, it has ${(floatData ?? data).length}`,
    );
  return { channels, height, width, label: integers[DATUM.label] ?? null, encoded, data, floatData };
}

function floatsOf(parts: readonly Uint8Array[]): Float32Array {
  const bytes = new Uint8Array(Buffer.concat(parts));
  return new Float32Array(bytes.buffer, 0, bytes.length >> 2);
}

/** The bytes of a Datum, as protobuf writes them in Caffe's converters. */
export function writeDatum(datum: {
  readonly channels?: number;
  readonly height?: number;
  readonly width?: number;
  readonly label: number;
  readonly encoded?: boolean;
  readonly data: Uint8Array;
}): Buffer {
  const { channels, height, width, label, encoded, data } = datum;
  const sizes = [channels, height, width].flatMap((value, i) =>
    value === undefined ? [] : [integerField(i + 1, value)],
  );
  return Buffer.concat([
    ...sizes,
    bytesField(DATUM.data, data),
    integerField(DATUM.label, label),
    ...(encoded === undefined ? [] : [integerField(DATUM.encoded, Number(encoded))]),
  ]);
}
