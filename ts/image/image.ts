/** Pixels in memory. */

/** Decoded pixels: H×W×C, interleaved R, G, B, or one grey channel. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
  /** Named in errors. */
  readonly file: string;
}

/** The same with all 16 bits of each sample, 0 to 65535. */
export interface DeepImage extends Omit<Image, 'data'> {
  readonly data: Uint16Array;
}

/** What decoders give: samples of 8 or 16 bits. */
export type DecodedPixels = Pick<Image, 'width' | 'height' | 'channels'> & {
  readonly data: Uint8Array | Uint16Array;
};
