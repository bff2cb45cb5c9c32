/**
 * Corrects JPEGs that libjpeg reads completely, but with a warning. The text of the warning is not reliable, because libvips
 * keeps the messages of all its threads in one place. This module therefore corrects the reported problem in a copy of the
 * bytes, and the copy is decoded again with every warning as an error. Only a file without any other problem is accepted.
 */

/** A copy with one problem corrected, and the problem. */
export interface MendedJpeg {
  readonly bytes: Uint8Array;
  readonly what: string;
}

interface Marker {
  readonly code: number;
  /** The offset of its 0xFF. */
  readonly at: number;
}

const [SOS, EOI] = [0xda, 0xd9];
/** The number of copies that are tried for one warning; a progressive JPEG has about ten scans. */
const MOST = 16;

/**
 * Copies without the problem that a warning of libjpeg names (jerror.h: JWRN_EXTRANEOUS_DATA, JWRN_NOT_SEQUENTIAL).
 * @param warning libjpeg's text, which may belong to another image.
 */
export function* mendedJpegs(bytes: Uint8Array, warning: string): Iterable<MendedJpeg> {
  const markers = markersOf(bytes);
  const extraneous = /(\d+) extraneous bytes before marker 0x([0-9a-f]{2})/i.exec(warning);
  if (extraneous !== null) {
    const [count, code] = [Number(extraneous[1]), Number.parseInt(extraneous[2]!, 16)];
    for (const { at } of markers.filter((each) => each.code === code && each.at - count >= 2).slice(0, MOST))
      yield {
        bytes: Buffer.concat([bytes.subarray(0, at - count), bytes.subarray(at)]),
        what: `${count} extraneous bytes before marker 0x${extraneous[2]}, which were skipped`,
      };
  }
  if (/Invalid SOS parameters for sequential JPEG/i.test(warning)) {
    const copy = Uint8Array.from(bytes);
    for (const { code, at } of markers) {
      // T.81, B.2.3: after the components come Ss, Se, Ah and Al, which are 0, 63, 0 in a sequential scan.
      const end = at + 2 + ((bytes[at + 2] ?? 0) << 8) + (bytes[at + 3] ?? 0);
      if (code === SOS && end <= bytes.length) copy.set([0, 63, 0], end - 3);
    }
    yield { bytes: copy, what: 'invalid parameters of a scan, which a sequential JPEG does not use' };
  }
}

/** All markers except those within a scan's data, restarts and stuffed zeros. */
function markersOf(bytes: Uint8Array): Marker[] {
  const markers: Marker[] = [];
  for (let at = 2; at + 1 < bytes.length; ) {
    const code = bytes[at + 1]!;
    if (bytes[at] !== 0xff || code === 0 || code === 0xff || (code >= 0xd0 && code <= 0xd8)) {
      at++;
      continue;
    }
    markers.push({ code, at });
    if (code === EOI) break;
    at += 2 + ((bytes[at + 2] ?? 0) << 8) + (bytes[at + 3] ?? 0);
  }
  return markers;
}
