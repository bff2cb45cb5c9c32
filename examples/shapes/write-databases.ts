/** Writes pictures of shapes as the databases that the prototxts name, in the formats of Caffe's SSD fork. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { writeAnnotatedDatum } from '../../ts/data/annotated-datum.ts';
import { writeDatum } from '../../ts/data/datum.ts';
import { LmdbWriter } from '../../ts/data/write-lmdb.ts';
import { drawPicture, type Picture, SIZE } from './draw-shapes.ts';

/** The seeds of the pictures for tests; no training picture has one of them. */
export const TEST_SEED = 1_000_000;

const keyOf = (i: number) => String(i).padStart(8, '0');
const datumOf = ({ planes }: Picture) =>
  writeDatum({ channels: 3, height: SIZE, width: SIZE, data: planes, label: 0 });

async function write(folder: string, count: number, seed: number, record: (picture: Picture) => Buffer) {
  if (existsSync(folder)) return;
  const writer = new LmdbWriter(folder);
  for (let i = 0; i < count; i++) writer.add(keyOf(i), record(drawPicture(seed + i)));
  await writer.finish();
}

/** Writes `train_lmdb` and `test_lmdb` of AnnotatedDatums. Existing databases are kept. */
export async function writeDetectorData(folder: string, { train = 600, test = 100 } = {}): Promise<void> {
  const record = (picture: Picture) => writeAnnotatedDatum(datumOf(picture), picture.annotations);
  await write(join(folder, 'train_lmdb'), train, 1, record);
  await write(join(folder, 'test_lmdb'), test, TEST_SEED, record);
}

/** Writes two databases in the same order for each phase: pictures, and the class of every pixel. */
export async function writeSegmenterData(folder: string, { train = 600, test = 100 } = {}): Promise<void> {
  const classesOf = ({ classes }: Picture) =>
    writeDatum({ channels: 1, height: SIZE, width: SIZE, data: classes, label: 0 });
  for (const [name, count, seed] of [
    ['train', train, 1],
    ['test', test, TEST_SEED],
  ] as const) {
    await write(join(folder, `${name}_pictures_lmdb`), count, seed, datumOf);
    await write(join(folder, `${name}_classes_lmdb`), count, seed, classesOf);
  }
}
