/** Counting, intervals, calibration and ten crops, against numbers computed elsewhere. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnet } from '../../../ts/architectures/resnet.ts';
import { ArgumentError, ImageError } from '../../../ts/base/errors.ts';
import { outcomeOf } from '../../../ts/images/evaluate/outcome.ts';
import { publishedErrors } from '../../../ts/images/evaluate/published.ts';
import { summariseOutcomes, wilsonInterval } from '../../../ts/images/evaluate/statistics.ts';
import { checkTenCrop, tenCropCorners, tenCrops } from '../../../ts/images/evaluate/ten-crop.ts';
import type { Image } from '../../../ts/images/image.ts';
import { preprocessImage } from '../../../ts/images/preprocess.ts';

const isMisuse = (error: Error) => error instanceof ArgumentError;
const close = (a: number, b: number, tolerance: number) =>
  assert.ok(Math.abs(a - b) <= tolerance, `${a} is not within ${tolerance} of ${b}`);

test('a tie counts against the true class, as in Caffe, whichever comes first', () => {
  assert.equal(outcomeOf([0.4, 0.4, 0.2], 0), { label: 0, predicted: 1, confidence: 0.4, rank: 1 });
  assert.equal(outcomeOf([0.4, 0.4, 0.2], 1), { label: 1, predicted: 0, confidence: 0.4, rank: 1 });
  assert.equal(outcomeOf([0.5, 0.3, 0.2], 0), { label: 0, predicted: 0, confidence: 0.5, rank: 0 });
  // Six equal scores: five others tie, so not even top-5 is correct.
  assert.is(outcomeOf(new Float32Array(6), 3).rank, 5);
});

test('an invalid class, and NaN scores, are refused', () => {
  for (const label of [-1, 2, 0.5]) assert.throws(() => outcomeOf([1, 0], label), /class from 0 to 1/);
  assert.throws(() => outcomeOf([Number.NaN, 0], 0), /score of class 0/);
  assert.throws(() => outcomeOf([0, Number.NaN], 0), /score of class 1/);
  assert.throws(() => summariseOutcomes([]), isMisuse);
});

test("Wilson's interval agrees with textbooks (81 of 263: 0.2553 to 0.3662, Newcombe 1998, table I)", () => {
  const known: [number, number, number, number][] = [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ];
  for (const [count, total, low, high] of known) {
    const interval = wilsonInterval(count, total);
    close(interval[0], low, 5e-5);
    close(interval[1], high, 5e-5);
  }
  assert.is(wilsonInterval(20, 20)[1], 1);
  assert.throws(() => wilsonInterval(1, 0), isMisuse);
});

test('classes, confusions and calibration add up', () => {
  const summary = summariseOutcomes([
    { label: 2, predicted: 2, confidence: 0.9, rank: 0 },
    { label: 2, predicted: 0, confidence: 0.9, rank: 1 },
    { label: 0, predicted: 1, confidence: 0.55, rank: 7 },
    { label: 2, predicted: 0, confidence: 1, rank: 4 },
  ]);
  assert.is(summary.images, 4);
  assert.is(summary.top1.correct, 1);
  assert.is(summary.top1.error, 0.75);
  assert.is(summary.top5.correct, 3);
  assert.equal(summary.classes, [
    { label: 0, images: 1, top1: 0, top5: 0 },
    { label: 2, images: 3, top1: 1, top5: 3 },
  ]);
  assert.equal(summary.confusions, [
    { label: 2, predicted: 0, count: 2 },
    { label: 0, predicted: 1, count: 1 },
  ]);
  // By hand: bins of 0.55 (1 image, accuracy 0), 0.9 (2 images, accuracy 0.5) and 1 (1 image, accuracy 0).
  close(summary.calibration.expectedError, 0.25 * 0.55 + 0.5 * 0.4 + 0.25 * 1, 1e-12);
  assert.equal(
    summary.calibration.bins.map(({ images }) => images),
    [1, 2, 1],
  );
});

test('published errors are shown only next to the nets to which they belong', () => {
  const { top1, top5, net } = publishedErrors(resnet({ depth: 101, batch: 4 }), 1)!;
  assert.equal([net, top1, top5], ['ResNet-101', 0.236, 0.071]);
  assert.is(publishedErrors(resnet({ depth: 152 }), 10)!.top5, 0.057);
  // He et al. (2015), table 4.
  assert.is(publishedErrors(resnet({ depth: 50 }), 'multi-scale')!.top1, 0.2074);
  for (const options of [{ depth: 18 }, { depth: 50, classes: 10 }, { depth: 50, version: 'v1.5' }] as const)
    assert.is(publishedErrors(resnet(options), 1), null);
});

// Pixel (x, y) has the value 10 y + x in all channels.
const gradient: Image = {
  width: 6,
  height: 5,
  channels: 1,
  data: Uint8Array.from({ length: 30 }, (_, i) => 10 * Math.floor(i / 6) + (i % 6)),
  file: 'gradient',
};

test('ten crops are the corners, the centre and their mirror images, after the mean is subtracted', async () => {
  assert.equal(
    tenCropCorners({ width: 256, height: 340 }, { width: 224, height: 224 }).map(({ left, top }) => [
      left,
      top,
    ]),
    [
      [0, 0],
      [32, 0],
      [0, 116],
      [32, 116],
      [16, 58],
    ],
  );
  const mean = { shape: [1, 2, 2], data: Float32Array.of(0, 1, 0, 0) };
  const preprocess = { resize: null, crop: { width: 2, height: 2 }, mean };
  const crops = await tenCrops(gradient, preprocess, (corner) =>
    preprocessImage(gradient, preprocess, 1, corner),
  );
  assert.equal(
    crops.map((pixels) => [...pixels]),
    [
      [0, 0, 10, 11],
      [4, 4, 14, 15],
      [30, 30, 40, 41],
      [34, 34, 44, 45],
      [12, 12, 22, 23],
      [0, 0, 11, 10],
      [4, 4, 15, 14],
      [30, 30, 41, 40],
      [34, 34, 45, 44],
      [12, 12, 23, 22],
    ],
  );
});

test('ten crops without room for them are refused with the reason', async () => {
  const crop = { width: 224, height: 224 };
  for (const resize of [{ shorterSide: 224 }, { width: 300, height: 224 }])
    assert.throws(() => checkTenCrop({ resize, crop, mean: [0] }), /corners and centre coincide/);
  checkTenCrop({ resize: { shorterSide: 225 }, crop, mean: [0] });
  try {
    await tenCrops(gradient, { resize: null, crop: { width: 2, height: 5 }, mean: [0] }, async () => {
      throw new Error('no crop is taken');
    });
    assert.unreachable();
  } catch (error) {
    assert.instance(error, ImageError);
    assert.match(
      (error as Error).message,
      /^gradient: is 6×5, which does not allow ten different crops of 2×5/,
    );
  }
});

test.run();
