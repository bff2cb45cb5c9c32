/** Detects the kind of a file from its first bytes and its top-level fields, regardless of its name. */
import { closeSync, constants, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { isSpecial } from '../base/files.ts';
import { messages } from './schema.ts';
import { topLevelFields, topLevelWords } from './top-level.ts';

/** JSON files that resnode writes, by the `format` that they begin with: `resnode-KIND/VERSION`. */
const JSON_KINDS = [
  'preprocess',
  'calibration',
  'evaluation',
  'evaluation-progress',
  'solver-state',
  'training-report',
  'database',
  'run',
] as const;
type JsonKind = `${(typeof JSON_KINDS)[number]}-json`;

export type FileKind =
  | 'empty'
  | 'zeros'
  | 'folder'
  | 'lmdb'
  | 'leveldb'
  | 'lmdb-file'
  | 'net'
  | 'solver'
  | 'label-map'
  | 'list'
  | 'labels'
  | JsonKind
  | 'json'
  | 'html'
  | 'xml'
  | 'lfs-pointer'
  | 'utf-16'
  | 'text'
  | 'caffemodel'
  | 'solver-state'
  | 'mean'
  | 'datum'
  | 'onnx'
  | 'hdf5'
  | 'npy'
  | 'npz'
  | 'safetensors'
  | 'torch'
  | 'pickle'
  | 'zip'
  | 'gzip'
  | 'bzip2'
  | 'xz'
  | 'zstd'
  | '7z'
  | 'rar'
  | 'tar'
  | 'matlab'
  | 'matlab-7.3'
  | 'table'
  | 'torch7'
  | 'tflite'
  | 'pdf'
  | 'jpeg'
  | 'png'
  | 'gif'
  | 'webp'
  | 'tiff'
  | 'bmp'
  | 'pnm';

/** The number of bytes that are examined. */
const HEAD = 1 << 16;

/** The position of each signature, in Latin-1. Of several with the same beginning, longer ones come first. */
const SIGNATURES: readonly (readonly [FileKind, string, offset?: number])[] = [
  ['hdf5', '\x89HDF\r\n\x1a\n'],
  ['npy', '\x93NUMPY'],
  ['gzip', '\x1f\x8b'],
  ['bzip2', 'BZh'],
  ['xz', '\xfd7zXZ\0'],
  ['zstd', '\x28\xb5\x2f\xfd'],
  ['7z', '7z\xbc\xaf\x27\x1c'],
  ['rar', 'Rar!\x1a\x07'],
  ['tar', 'ustar', 257],
  ['matlab', 'MATLAB 5.0 MAT-file'],
  ['matlab-7.3', 'MATLAB 7.3 MAT-file'],
  // An object, its number 1, and the version of its class, in binary and in ASCII (torch7's File.lua).
  ['torch7', '\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1'],
  ['torch7', '4\n1\n3\nV 1\n'],
  ['tflite', 'TFL3', 4],
  ['pdf', '%PDF-'],
  ['jpeg', '\xff\xd8\xff'],
  ['png', '\x89PNG\r\n\x1a\n'],
  ['gif', 'GIF8'],
  ['webp', 'WEBP', 8],
  ['tiff', 'II*\0'],
  ['tiff', 'MM\0*'],
  // LMDB's mdb.c: the magic number 0xBEEFC0DE follows the header of the first page.
  ['lmdb-file', '\xde\xc0\xef\xbe', 16],
];

/** The end of a table (LevelDB's doc/table_format.md). */
const TABLE_MAGIC = Buffer.from('57fb808b247547db', 'hex');

/**
 * The kind of a file's bytes; null if no known kind begins like this.
 * @param bytes The whole file or its beginning, of which at most 64 KiB are examined.
 */
export function fileKind(bytes: Uint8Array): FileKind | null {
  if (bytes.length === 0) return 'empty';
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, HEAD));
  const latin1 = head.subarray(0, 512).toString('latin1');
  const signed = SIGNATURES.find(([, signature, offset = 0]) => latin1.startsWith(signature, offset));
  if (signed !== undefined) return signed[0];
  if (latin1.startsWith('PK\x03\x04') || latin1.startsWith('PK\x05\x06')) {
    // A local header's name begins at byte 30.
    if (/^[^\0]{0,200}\.npy/.test(latin1.slice(30))) return 'npz';
    return /data\.pkl|\/version|byteorder/.test(latin1) ? 'torch' : 'zip';
  }
  // https://docs.python.org/3/library/pickletools.html: PROTO and a version, and what torch.save begins with.
  if (head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5)
    return latin1.startsWith('\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19') ? 'torch' : 'pickle';
  if (/^P[1-6][\s#]/.test(latin1)) return 'pnm';
  if (/^BM.{4}\0\0\0\0/s.test(latin1)) return 'bmp';
  if (isUtf16(head)) return 'utf-16';
  if (head.length >= 512 && head.every((byte) => byte === 0)) return 'zeros';
  if (/^.{6}\0\0\s*\{\s*"/s.test(latin1)) return 'safetensors';
  return isText(head) ? textKind(head.toString('utf8').replace(/^\uFEFF/, '')) : messageKind(head);
}

/**
 * The kind of the file at a path. A folder may be a database.
 * @throws the file system's error
 */
export function fileKindAt(path: string): FileKind | null {
  const stats = statSync(path);
  if (isSpecial(stats)) return null;
  if (stats.isDirectory()) {
    const names = readdirSync(path);
    if (names.includes('data.mdb')) return 'lmdb';
    return names.includes('CURRENT') && names.some((name) => name.startsWith('MANIFEST-'))
      ? 'leveldb'
      : 'folder';
  }
  const head = Buffer.alloc(HEAD);
  // A FIFO may have replaced the file since.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const kind = fileKind(head.subarray(0, readSync(descriptor, head)));
    if (kind !== null || stats.size < TABLE_MAGIC.length) return kind;
    const tail = Buffer.alloc(TABLE_MAGIC.length);
    readSync(descriptor, tail, 0, tail.length, stats.size - tail.length);
    return tail.equals(TABLE_MAGIC) ? 'table' : null;
  } finally {
    closeSync(descriptor);
  }
}

function isUtf16(head: Buffer): boolean {
  if (head.length >= 2 && ['fffe', 'feff'].includes(head.toString('hex', 0, 2))) return true;
  // Without a byte-order mark: Latin letters have a zero in one of their two bytes.
  const pairs = Math.min(head.length >> 1, 256);
  if (pairs < 4) return false;
  let [low, high] = [0, 0];
  for (let i = 0; i < pairs; i++) {
    if (head[2 * i] === 0 && isPrintable(head[2 * i + 1]!)) low++;
    if (head[2 * i + 1] === 0 && isPrintable(head[2 * i]!)) high++;
  }
  return Math.max(low, high) > 0.9 * pairs;
}

const isPrintable = (byte: number) => (byte >= 9 && byte <= 13) || (byte >= 32 && byte < 127);

/** Text has no control characters, and few bytes that are not UTF-8, because comments may have any encoding. */
function isText(head: Buffer): boolean {
  if (!head.every((byte) => byte >= 32 || (byte >= 9 && byte <= 13))) return false;
  return (head.toString('utf8').match(/\uFFFD/g)?.length ?? 0) <= 0.2 * head.length;
}

function textKind(text: string): FileKind {
  const begin = text.trimStart();
  if (begin === '') return 'empty';
  if (begin.startsWith('version https://git-lfs')) return 'lfs-pointer';
  if (/^<(?:!doctype html|html|head|body)\b/i.test(begin)) return 'html';
  if (/^<[?!a-z]/i.test(begin)) return /<html\b/i.test(begin) ? 'html' : 'xml';
  if (/^[{[]/.test(begin)) return jsonKind(begin);
  const lines = begin.split(/\r?\n/, 6).filter((line) => line.trim() !== '');
  if (lines.every((line) => /^n\d{8}(?:\s|$)/.test(line))) return 'labels';
  if (
    lines.every((line) =>
      /^[^:{}#"]+[ \t]-?\d+\s*$|^[^:{}#"\s][^:{}#"]*\.(?:jpe?g|png|bmp|webp|tiff?|gif|ppm)\b/i.test(line),
    )
  )
    return 'list';
  return prototxtKind(begin) ?? 'text';
}

function jsonKind(text: string): FileKind {
  const format = /"format":\s*"resnode-([\w-]+)\/\d+"/.exec(text)?.[1];
  const kind = JSON_KINDS.find((each) => each === format);
  return kind === undefined ? 'json' : `${kind}-json`;
}

function prototxtKind(text: string): FileKind | null {
  const words = topLevelWords(text);
  const [net, solver] = [messages.NetParameter!, messages.SolverParameter!];
  const nets = words.filter((word) => Object.hasOwn(net, word) && !Object.hasOwn(solver, word));
  const solvers = words.filter((word) => Object.hasOwn(solver, word) && !Object.hasOwn(net, word));
  if (nets.length > solvers.length || words[0] === 'layer') return 'net';
  if (solvers.length > 0) return 'solver';
  return words.length > 0 && words.every((word) => word === 'item') ? 'label-map' : null;
}

/** Messages of caffe.proto, and ONNX's ModelProto, by the numbers and types of their fields. */
function messageKind(head: Buffer): FileKind | null {
  const fields = topLevelFields(head);
  if (fields === null || fields.length === 0) return null;
  const has = (number: number, wireType: number) =>
    fields.some((field) => field.number === number && field.wireType === wireType);
  const [varint, bytes] = [0, 2];
  const upTo = (most: number) => fields.every(({ number }) => number <= most);
  // onnx.proto: ir_version 1, producer 2 and 3, graph 7, opset_import 8.
  if (has(1, varint)) {
    if ((has(7, bytes) || has(8, bytes)) && !has(2, varint)) return 'onnx';
    // SolverState: iter 1, learned_net 2, history 3, current_step 4.
    if (upTo(4) && !has(2, varint) && !has(3, varint) && !has(4, bytes)) return 'solver-state';
  }
  // NetParameter: name 1, layers 2, input 3, input_dim 4, layer 100.
  if (
    !has(1, varint) &&
    (has(100, bytes) || has(2, bytes)) &&
    fields.every(({ number }) => number <= 8 || number === 100)
  )
    return 'caffemodel';
  // Datum: channels, height, width 1 to 3, data 4, label 5. BlobProto: its dimensions 1 to 4, data 5, shape 7.
  if (has(4, bytes) && (has(1, varint) || has(5, varint))) return 'datum';
  if ((has(5, bytes) || has(8, bytes)) && (has(1, varint) || has(7, bytes)) && upTo(12)) return 'mean';
  return null;
}
