/** Decoded pixels in memory. */
import { bytes, either, instance, integer, type Kind, oneOf, string } from '../base/kinds.ts';
import { fields, optional, required } from '../base/options.ts';
import { location } from '../base/sources.ts';

/** Decoded pixels: H×W×C, interleaved R, G, B, or one grey channel. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
  /** The name of the file in errors. */
  readonly file: string;
  /** How stored values became grey levels, for DICOM and if a window was applied. */
  readonly rendering?: string;
}

/** An image with all 16 bits of each sample, 0 to 65535. */
export interface DeepImage extends Omit<Image, 'data'> {
  readonly data: Uint16Array;
}

/** A path, a `file:` URL, the bytes of an image file, or decoded pixels. */
export type AnyImage = string | URL | Uint8Array | ArrayBuffer | Image | DeepImage;

/** @param data The kind of array that holds the samples. */
function imageKind<T extends Image | DeepImage>(data: Kind<Uint8Array | Uint16Array>): Kind<T> {
  const form = fields<Omit<Image, 'data'> & { readonly data: T['data'] }>(
    'an Image, { width, height, channels, data, file }',
    {
      width: required(integer(1), 'The width in pixels.'),
      height: required(integer(1), 'The height in pixels.'),
      channels: required(oneOf(1, 3), 'The number of channels: 1 for grey, 3 for R, G, B.'),
      data: required(data as Kind<never>, 'The samples, H×W×C.'),
      file: required(string, 'The name of the file in errors.'),
      rendering: optional(string, 'none', 'How the stored values became grey levels.'),
    },
  );
  return {
    expected: form.expected,
    isMeant: form.isMeant!,
    mistake(value) {
      const mistake = form.mistake(value);
      if (mistake !== null) return mistake;
      const { width, height, channels, data: samples } = value as T;
      if (samples.length === width * height * channels) return null;
      return { path: '.data', expected: `${width}×${height}×${channels} values`, actual: samples };
    },
  };
}

/** Samples of 8 bits. */
export const image = imageKind<Image>(instance('a Uint8Array', Uint8Array));
/** Samples of 8 or 16 bits. */
export const anyImage = imageKind<Image | DeepImage>(
  either(instance('a Uint8Array', Uint8Array), instance('a Uint16Array', Uint16Array)),
);

/** Pixels, or an image file. */
export const imageOrFile: Kind<AnyImage> = either(location, bytes, anyImage);
/** The argument of functions that process one image. */
export const imageArgument = required(
  imageOrFile,
  'A path, a file: URL, the bytes of an image file, or pixels.',
);

/** Whether a value is decoded pixels rather than a path or the bytes of a file. */
export const isImage = (value: AnyImage): value is Image | DeepImage =>
  typeof value === 'object' && 'width' in value;

/** The result of decoders: samples of 8 or 16 bits. */
export type DecodedPixels = Pick<Image, 'width' | 'height' | 'channels' | 'rendering'> & {
  readonly data: Uint8Array | Uint16Array;
};
