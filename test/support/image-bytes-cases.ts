/** Images as bytes give, on every device, the same bits as the floats that a host prepares. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Preprocess, preprocessImage } from '../../ts/api/images.ts';
import { bytesOf, preprocessBytes } from '../../ts/images/preprocess.ts';
import type { Device, NetParameter, Precision } from '../../ts/index.ts';

/** A 3-channel image whose bytes differ enough that a swapped channel or row shows. */
const picture = (width: number, height: number) => ({
  width,
  height,
  channels: 3 as const,
  data: Uint8Array.from(
    { length: width * height * 3 },
    (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) & 255,
  ),
  file: 'picture',
});

const net = (name: string, shape: readonly number[], layer: object): NetParameter => ({
  name,
  layer: [
    { name: 'data', type: 'Input', top: ['data'], input_param: { shape: [{ dim: [...shape] }] } },
    { name: 'result', bottom: ['data'], top: ['result'], ...layer },
  ],
});
const filler = { weight_filler: { type: 'xavier' } };
const convolution = (stride: number) => ({
  type: 'Convolution',
  convolution_param: { num_output: 8, kernel_size: [3], pad: [1], stride: [stride], ...filler },
});

/** The layouts of images on a device: in blocks of 2×2 in 16 bits, pixel by pixel, row-major. */
const nets: readonly { readonly size: number; readonly net: NetParameter }[] = [
  { size: 8, net: net('blocks', [2, 3, 8, 8], convolution(2)) },
  { size: 7, net: net('pixels', [2, 3, 7, 7], convolution(1)) },
  {
    size: 5,
    net: net('plain', [2, 3, 5, 5], {
      type: 'InnerProduct',
      inner_product_param: { num_output: 4, ...filler },
    }),
  },
];

const tuned = (size: number, more: Partial<Preprocess>): Preprocess => ({
  resize: { shorterSide: size + 2 },
  crop: { width: size, height: size },
  mean: [103.94, 116.78, 123.68],
  ...more,
});

export function testImageBytes(
  name: string,
  open: () => Promise<Device>,
  precisions: readonly Precision[],
): void {
  test(`${name}: bytes with a mean and a scale give the same bits as floats that were prepared before`, async () => {
    await using device = await open();
    for (const precision of precisions)
      for (const { size, net } of nets) {
        await using model = await device.load({ model: net, precision });
        for (const more of [
          {},
          { scale: 0.017 },
          { std: [57.4, 57.1, 58.4], order: 'RGB' as const },
          { mean: [99.5] },
        ]) {
          const preprocess = tuned(size, more);
          const images = [picture(13, 11), picture(17, 23)];
          const floats = await Promise.all(images.map((image) => preprocessImage(image, preprocess, 3)));
          const bytes = await Promise.all(images.map((image) => preprocessBytes(image, preprocess, 3)));
          const shape = [2, 3, size, size];
          const expected = await model.run({
            data: { shape, data: Float32Array.of(...floats[0]!, ...floats[1]!) },
          });
          // The second run on a GPU uses its graph.
          for (let i = 0; i < 2; i++) {
            const data = Uint8Array.of(...bytes[0]!, ...bytes[1]!);
            const running = model.run({ data: { shape, data, ...bytesOf(preprocess, 3) } });
            data.fill(0); // the call has copied them
            assert.equal((await running).result!.data, expected.result!.data, `${net.name} ${precision}`);
          }
          using buffer = await device.buffer({ shape, dtype: 'uint8' });
          await buffer.upload(Uint8Array.of(...bytes[0]!, ...bytes[1]!));
          const ofBuffer = { shape, data: buffer, ...bytesOf(preprocess, 3) };
          assert.equal(
            (await model.run({ data: ofBuffer })).result!.data,
            expected.result!.data,
            `${net.name} ${precision}, from the device's memory`,
          );
          assert.not.equal(
            (await model.run({ data: { shape, data: Uint8Array.of(...bytes[0]!, ...bytes[1]!) } })).result!
              .data,
            expected.result!.data,
            'a byte without a mean is a number',
          );
        }
      }
  });
}
