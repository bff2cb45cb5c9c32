/** Recognises an encoded image by its first bytes; file names do not matter. */
import { wrongKind } from '../caffe/wrong-kind.ts';

export type ImageFormat = 'JPEG' | 'PNG' | 'WebP' | 'GIF' | 'TIFF' | 'BMP' | 'PNM' | 'DICOM';

/** The list of formats in errors and help texts. */
export const IMAGE_FORMATS = 'JPEG, PNG, WebP, GIF, TIFF, BMP, PBM, PGM, PPM or DICOM';

/** The file names that count as images in folders. */
export const IMAGE_FILE = /\.(jpe?g|png|webp|gif|tiff?|bmp|p[bgpn]m|dcm|dicom)$/i;

/** The number of first bytes that are examined. */
export const HEAD_BYTES = 4096;

/** Patterns of the first bytes in hexadecimal. */
const READ: readonly (readonly [ImageFormat, RegExp])[] = [
  ['JPEG', /^ffd8ff/],
  ['PNG', /^89504e470d0a1a0a/],
  ['GIF', /^474946383[79]61/],
  ['WebP', /^52494646.{8}57454250/],
  ['TIFF', /^(4949(2a|2b)00|4d4d00(2a|2b))/],
  ['BMP', /^424d.{24}(0c|28|34|38|6c|7c)000000/],
  // P1 to P6, then white space or a comment.
  ['PNM', /^503[1-6](09|0a|0b|0c|0d|20|23)/],
];

/** The same for other files that are often passed as images. */
const BINARY: readonly (readonly [name: string, RegExp])[] = [
  ['an AVIF image', /^.{8}66747970617669(66|73)/],
  ['a HEIF image', /^.{8}66747970(686569|686576|6d6966|6d7366)/],
  ['a film (MP4)', /^.{8}66747970/],
  ['a JPEG XL image', /^(ff0a|0000000c4a584c20)/],
  ['a JPEG 2000 image', /^(ff4fff51|0000000c6a502020)/],
  ['a Photoshop document', /^38425053/],
  ['an OpenEXR image', /^762f3101/],
  ['a Windows icon', /^0000(01|02)00/],
  ['a gzip file', /^1f8b/],
  ['a ZIP archive', /^504b0304/],
  ['a NumPy array', /^934e554d5059/],
  ['an HDF5 file', /^89484446/],
];

/** Patterns of the first bytes as text. */
const TEXT: readonly (readonly [name: string, RegExp])[] = [
  ['a PDF document', /^%PDF/],
  ['a PostScript document', /^%!PS/],
  ['a Radiance HDR image', /^#\?/],
  ['a FITS image', /^SIMPLE {2}=/],
  ['a PAM or PFM image', /^P[7Ff]\s/],
  ['a pointer of Git LFS (git lfs pull downloads the file)', /^version https:\/\/git-lfs/],
  ['an SVG drawing', /^\s*<[\s\S]*?<?svg[\s>]/i],
  ['an HTML page', /^\s*<(!doctype html|html)/i],
  ['an XML document', /^\s*<(\?xml|!--|[a-z])/i],
];

/** PS3.10, section 7.1: a preamble of 128 bytes, then DICM. */
const isDicom = (bytes: Uint8Array): boolean =>
  bytes.length >= 132 && Buffer.from(bytes.buffer, bytes.byteOffset + 128, 4).toString('latin1') === 'DICM';

/** @param bytes A file, or its first HEAD_BYTES. Null: an unsupported format. */
export function imageFormatOf(bytes: Uint8Array): ImageFormat | null {
  // The preamble of a DICOM file may look like another format (PS3.10, section 7.1).
  if (isDicom(bytes)) return 'DICOM';
  const head = hex(bytes);
  return READ.find(([, pattern]) => pattern.test(head))?.[0] ?? null;
}

/** Describes bytes that are not a supported image: "an SVG drawing". */
export function describeBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'empty';
  const head = hex(bytes);
  const text = new TextDecoder().decode(bytes.subarray(0, HEAD_BYTES));
  const [name] =
    BINARY.find(([, pattern]) => pattern.test(head)) ?? TEXT.find(([, pattern]) => pattern.test(text)) ?? [];
  const wrong = name === undefined ? wrongKind(bytes, 'image') : null;
  return (
    name ??
    wrong?.replace(/^this is /, '') ??
    `of an unknown image format (its first bytes are ${head.slice(0, 16).replaceAll(/..(?=.)/g, '$& ')})`
  );
}

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 32)).toString('hex');
