/** Pixels in memory. */
import { instance, integer, type Kind, oneOf, string } from '../base/kinds.ts';
import { fields, required } from '../base/options.ts';

/** Decoded pixels: H×W×C, interleaved R, G, B, or one grey channel. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
  /** Named in errors. */
  readonly file: string;
}

const imageFields = fields<Image>('an Image, { width, height, channels, data, file }', {
  width: required(integer(1), 'In pixels.'),
  height: required(integer(1), 'In pixels.'),
  channels: required(oneOf(1, 3), 'Grey, or R, G, B.'),
  data: required(instance('a Uint8Array', Uint8Array), 'H×W×C.'),
  file: required(string, 'Named in errors.'),
});

/** As many bytes as its size says. */
export const image: Kind<Image> = {
  ...imageFields,
  mistake(value) {
    const mistake = imageFields.mistake(value);
    if (mistake !== null) return mistake;
    const { width, height, channels, data } = value as Image;
    if (data.length === width * height * channels) return null;
    return { path: '.data', expected: `${width}×${height}×${channels} bytes`, actual: data };
  },
};

/** The same with all 16 bits of each sample, 0 to 65535. */
export interface DeepImage extends Omit<Image, 'data'> {
  readonly data: Uint16Array;
}

/** What decoders give: samples of 8 or 16 bits. */
export type DecodedPixels = Pick<Image, 'width' | 'height' | 'channels'> & {
  readonly data: Uint8Array | Uint16Array;
};
