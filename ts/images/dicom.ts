/** Uncompressed DICOM images with one frame, rendered for display: DICOM PS3.3 (modules), PS3.5 (transfer syntaxes). */
import type { DataSet } from 'dicom-parser';
import { needPackage } from '../base/optional-package.ts';
import { inPieces } from './byte-loops.ts';
import { UnfitPixels } from './decode-vips.ts';
import type { DecodedPixels } from './image.ts';
import { fullRange, type Window, type Windowing, windowTable, windowText } from './window.ts';

/** Longer headers would block the event loop for too long. */
const MOST_HEADER_BYTES = 2 ** 22;
const PIXEL_DATA = 'x7fe00010';
const BIG_ENDIAN = '1.2.840.10008.1.2.2';
/** PS3.5, sections A.1 to A.3: the transfer syntaxes that are neither compressed nor deflated. */
const UNCOMPRESSED = new Set(['1.2.840.10008.1.2', '1.2.840.10008.1.2.1', BIG_ENDIAN]);
/** PS3.6, annex A. */
const COMPRESSED: readonly (readonly [start: string, name: string])[] = [
  ['1.2.840.10008.1.2.1.99', 'deflated'],
  ['1.2.840.10008.1.2.4.5', 'JPEG'],
  ['1.2.840.10008.1.2.4.7', 'JPEG'],
  ['1.2.840.10008.1.2.4.8', 'JPEG-LS'],
  ['1.2.840.10008.1.2.4.9', 'JPEG 2000'],
  ['1.2.840.10008.1.2.4.20', 'High-Throughput JPEG 2000'],
  ['1.2.840.10008.1.2.4.10', 'MPEG'],
  ['1.2.840.10008.1.2.5', 'RLE'],
];

/** A parsed header and a decoder of the pixels. */
export interface DicomImage {
  readonly width: number;
  readonly height: number;
  /**
   * @param window Replaces the file's window.
   * @param depth The bits of the grey levels.
   */
  decode(window: Window | undefined, depth: 8 | 16, signal?: AbortSignal): Promise<RenderedPixels>;
}

export type RenderedPixels = DecodedPixels & {
  /** How stored values became grey levels. */
  readonly rendering: string;
};

/**
 * Reads a header.
 * @throws UnfitPixels for unsupported content: compressed pixels, several frames, palettes, lookup tables, samples of other
 * widths; Error for a damaged file; ResnodeError `package/missing`
 */
export async function readDicom(bytes: Uint8Array): Promise<DicomImage> {
  // Bundlers accept a missing import if its error is caught.
  const { default: library } = await import('dicom-parser').catch((cause: unknown) => {
    needPackage('dicom-parser', 'Reading DICOM images');
    throw cause;
  });
  const set = parse(library, bytes);
  const syntax = set.string('x00020010') ?? '';
  const element = set.elements[PIXEL_DATA];
  if (!UNCOMPRESSED.has(syntax) || element?.hadUndefinedLength) throw compressed(syntax);
  if (element === undefined) {
    if (set.elements.x7fe00008 !== undefined || set.elements.x7fe00009 !== undefined)
      throw new UnfitPixels('dicom', 'its pixels are floats (Float Pixel Data), which resnode does not read');
    throw new Error('it has no Pixel Data (7FE0,0010)');
  }
  const frames = set.intString('x00280008') ?? 1;
  if (frames > 1)
    throw new UnfitPixels(
      'dicom',
      `it has ${frames} frames, but resnode reads only one; write each frame to its own file`,
    );
  const short = (tag: string, name: string): number => {
    const value = set.uint16(tag);
    if (value === undefined) throw new Error(`it lacks its ${name} (${tagText(tag)})`);
    return value;
  };
  const [height, width] = [short('x00280010', 'Rows'), short('x00280011', 'Columns')];
  if (width === 0 || height === 0) throw new Error(`it has ${height} rows and ${width} columns`);
  const samples = set.uint16('x00280002') ?? 1;
  const photometric = set.string('x00280004')?.trim() ?? 'MONOCHROME2';
  const allocated = short('x00280100', 'Bits Allocated');
  const stored = set.uint16('x00280101') ?? allocated;
  const highBit = set.uint16('x00280102') ?? stored - 1;
  const isColour = photometric === 'RGB' && samples === 3;
  if (!isColour && !(samples === 1 && /^MONOCHROME[12]$/.test(photometric)))
    throw new UnfitPixels(
      'dicom',
      `its colours are ${photometric} of ${samples} samples; MONOCHROME1, MONOCHROME2 and RGB are read`,
    );
  if (!(allocated === 8 || (allocated === 16 && !isColour)))
    throw new UnfitPixels(
      'dicom',
      `it has ${allocated} bits per ${isColour ? 'colour' : 'sample'}; resnode reads 8 bits, and 16 for grey images`,
    );
  if (!(stored >= 1 && stored <= allocated && highBit + 1 >= stored && highBit < allocated))
    throw new Error(`it stores ${stored} of ${allocated} bits up to bit ${highBit}`);
  const count = width * height * samples;
  const needed = (count * allocated) / 8;
  // The number of bytes is even; the last byte may be padding (PS3.5, section 8.1.1).
  const data = bytes.subarray(
    element.dataOffset,
    element.dataOffset + Math.min(element.length, needed + (needed % 2)),
  );
  const checkLength = () => {
    if (data.length < needed)
      throw new Error(
        `it has ${data.length} bytes of pixels, ${needed} are needed for ${width}×${height}; it is truncated`,
      );
  };
  const isBig = syntax === BIG_ENDIAN;
  // PS3.5, section 8.1.1: words of 16 bits are swapped, even if they contain two samples of 8 bits.
  const isSwapped = isBig && (allocated === 16 || element.vr !== 'OB');
  if (isColour)
    return {
      ...{ width, height },
      async decode(_, __, signal) {
        checkLength();
        const planes = set.uint16('x00280006') === 1;
        return {
          ...{ width, height, channels: 3 as const },
          data: await interleavedOf(data, { count, isSwapped, planes }, signal),
          rendering: 'RGB as stored',
        };
      },
    };
  const isSigned = set.uint16('x00280103') === 1;
  const range = isSigned
    ? ([-(2 ** (stored - 1)), 2 ** (stored - 1) - 1] as const)
    : ([0, 2 ** stored - 1] as const);
  const rescale = rescaleOf(set);
  return {
    ...{ width, height },
    async decode(given, depth, signal) {
      checkLength();
      const windowing =
        given === undefined ? windowOf(set, rescale, range) : { window: given, shape: 'LINEAR' as const };
      const inverted = photometric === 'MONOCHROME1';
      const table = windowTable({ ...windowing, ...rescale, range, inverted, depth });
      const levels = depth === 8 ? new Uint8Array(count) : new Uint16Array(count);
      const [shift, mask] = [highBit + 1 - stored, 2 ** stored - 1];
      // Table entries are in the order of the values; as bit patterns, negative values come after positive ones.
      const first = isSigned ? 2 ** (stored - 1) : 0;
      await inPieces(count, signal, (begin, end) => {
        for (let i = begin; i < end; i++) {
          const sample =
            allocated === 8
              ? data[isSwapped ? i ^ 1 : i]!
              : isBig
                ? (data[2 * i]! << 8) | data[2 * i + 1]!
                : data[2 * i]! | (data[2 * i + 1]! << 8);
          levels[i] = table[(((sample >> shift) & mask) + first) & mask]!;
        }
      });
      const source =
        given !== undefined
          ? 'as given'
          : windowing.shape === 'FULL'
            ? 'all that its bits can hold, as the file has no window; --window CENTRE,WIDTH gives one'
            : 'of the file';
      return {
        ...{ width, height, channels: 1 as const, data: levels },
        rendering: `${rescaleText(rescale)}${windowText(windowing)} (${source})${inverted ? ', inverted (MONOCHROME1)' : ''}`,
      };
    },
  };
}

function parse(library: typeof import('dicom-parser'), bytes: Uint8Array): DataSet {
  const head = bytes.subarray(0, MOST_HEADER_BYTES);
  try {
    return library.parseDicom(head, {
      untilTag: PIXEL_DATA,
      // Refuses before the header is read, because the inflated size is unknown.
      inflater: () => {
        throw compressed('1.2.840.10008.1.2.1.99');
      },
    });
  } catch (error) {
    // The library throws strings, Errors, and both in an object with the data read so far.
    const { exception = error, dataSet } = (error ?? {}) as { exception?: unknown; dataSet?: DataSet };
    if (exception instanceof UnfitPixels) throw exception;
    if (dataSet?.elements.x7fe00008 !== undefined || dataSet?.elements.x7fe00009 !== undefined)
      return dataSet;
    if (bytes.length > head.length)
      throw new Error(`there are no pixels in its first ${MOST_HEADER_BYTES} bytes`, { cause: error });
    const message = exception instanceof Error ? exception.message : String(exception);
    throw new Error(message.replace(/^dicomParser[.:]\w+:? */, ''), { cause: error });
  }
}

function compressed(syntax: string): UnfitPixels {
  const name = COMPRESSED.find(([start]) => syntax.startsWith(start))?.[1];
  return new UnfitPixels(
    'dicom',
    `its pixels are compressed (${name === undefined ? '' : `${name}, `}transfer syntax ${syntax || 'unknown'}), which resnode does not read; write it uncompressed: gdcmconv --raw IN OUT, or dcmdjpeg and then dcmconv +te`,
  );
}

/** Converts stored values to units, e.g. Hounsfield's: PS3.3, section C.11.1. */
interface Rescale {
  readonly slope: number;
  readonly intercept: number;
}

function rescaleOf(set: DataSet): Rescale {
  if (set.elements.x00283000 !== undefined)
    throw new UnfitPixels('dicom', 'it has a Modality LUT Sequence (0028,3000), which resnode does not read');
  const rescale = { slope: decimal(set, 'x00281053') ?? 1, intercept: decimal(set, 'x00281052') ?? 0 };
  if (rescale.slope === 0) throw new Error('its Rescale Slope (0028,1053) is 0');
  return rescale;
}

/** The file's first window, or all values that its bits can hold. */
function windowOf(set: DataSet, { slope, intercept }: Rescale, range: readonly [number, number]): Windowing {
  const [center, width] = [decimal(set, 'x00281050'), decimal(set, 'x00281051')];
  if (center === undefined || width === undefined) {
    if (set.elements.x00283010 !== undefined)
      throw new UnfitPixels(
        'dicom',
        'it has a VOI LUT Sequence (0028,3010) and no window; resnode does not read the table: give a window (window, --window CENTRE,WIDTH)',
      );
    return fullRange(range.map((value) => slope * value + intercept));
  }
  const shape = set.string('x00281056')?.trim() || 'LINEAR';
  if (shape !== 'LINEAR' && shape !== 'LINEAR_EXACT' && shape !== 'SIGMOID')
    throw new Error(`its VOI LUT Function (0028,1056) is "${shape}"`);
  if (!(shape === 'LINEAR' ? width >= 1 : width > 0))
    throw new UnfitPixels(
      'dicom',
      `its Window Width (0028,1051) is ${width}; give a window (window, --window CENTRE,WIDTH)`,
    );
  return { window: [center, width], shape };
}

/**
 * The first number of a DS element.
 * @throws Error if it is not a number
 */
function decimal(set: DataSet, tag: string): number | undefined {
  const text = set.string(tag, 0)?.trim();
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new Error(`${tagText(tag)} is "${text.slice(0, 20)}", not a number`);
}

const tagText = (tag: string): string => `(${tag.slice(1, 5)},${tag.slice(5)})`.toUpperCase();

const rescaleText = ({ slope, intercept }: Rescale): string =>
  slope === 1 && intercept === 0
    ? ''
    : `${slope} · stored ${intercept < 0 ? '−' : '+'} ${Math.abs(intercept)}, `;

async function interleavedOf(
  data: Uint8Array,
  { count, isSwapped, planes }: { count: number; isSwapped: boolean; planes: boolean },
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const area = count / 3;
  const rgb = new Uint8Array(count);
  await inPieces(count, signal, (begin, end) => {
    for (let i = begin; i < end; i++) {
      const at = planes ? (i % 3) * area + Math.floor(i / 3) : i;
      rgb[i] = data[isSwapped ? at ^ 1 : at]!;
    }
  });
  return rgb;
}
