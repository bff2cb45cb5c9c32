/**
 * A strict reader of HDF5 files, for those of Caffe, h5py, Keras and MATLAB. It reads nothing outside the file.
 * docs/decisions/0007-hdf5-reader.md explains why resnode has its own reader.
 */
import { type Attribute, attributesOf, textsOf } from './attributes.ts';
import { Hdf5Dataset } from './dataset.ts';
import { type Link, linksOf } from './links.ts';
import { MESSAGE, ObjectHeader } from './object-header.ts';
import { type Cursor, damaged, Hdf5Problem, Source, unsupported } from './source.ts';

const SIGNATURE = '\x89HDF\r\n\x1a\n';
const MAX_SOFT_LINKS = 16;

export type Hdf5Object = Hdf5Group | Hdf5Dataset;

export class Hdf5File {
  readonly root: Hdf5Group;
  readonly #source: Source;

  /**
   * @param path The path of a file, or its bytes.
   * @throws Hdf5Problem; the file system's error
   */
  static async open(path: string | Uint8Array): Promise<Hdf5File> {
    const source = await Source.open(path);
    try {
      return new Hdf5File(source);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  private constructor(source: Source) {
    this.#source = source;
    const header = new ObjectHeader(source, rootOf(source));
    this.root = new Hdf5Group(header, header);
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

export class Hdf5Group {
  /** The identity of a group. Hard links may lead to one group from several places, and in circles. */
  readonly address: number;
  readonly #header: ObjectHeader;
  readonly #root: ObjectHeader;
  #links: Map<string, Link> | null = null;
  #attributes: Map<string, Attribute> | null = null;

  constructor(header: ObjectHeader, root: ObjectHeader) {
    this.address = header.address;
    this.#header = header;
    this.#root = root;
  }

  names(): string[] {
    return [...this.#allLinks().keys()];
  }

  /**
   * The target of a name, or of a path with slashes; null if there is none.
   * @throws Hdf5Problem `external`
   */
  get(path: string): Hdf5Object | null {
    return this.#resolve(path, 0);
  }

  /** The texts of an attribute; null if it has values of another type, undefined if it does not exist. */
  texts(attribute: string): string[] | null | undefined {
    this.#attributes ??= attributesOf(this.#header);
    const found = this.#attributes.get(attribute);
    return found && textsOf(this.#header.source, found);
  }

  #allLinks(): Map<string, Link> {
    this.#links ??= linksOf(this.#header);
    return this.#links;
  }

  #resolve(path: string, softLinks: number): Hdf5Object | null {
    let at: Hdf5Object = path.startsWith('/') ? new Hdf5Group(this.#root, this.#root) : this;
    for (const part of path.split('/')) {
      if (part === '' || part === '.') continue;
      if (!(at instanceof Hdf5Group)) return null;
      const next: Hdf5Object | null = at.#member(part, softLinks);
      if (next === null) return null;
      at = next;
    }
    return at;
  }

  #member(name: string, softLinks: number): Hdf5Object | null {
    const link = this.#allLinks().get(name);
    if (link === undefined) return null;
    if (link.kind === 'external')
      throw new Hdf5Problem(
        'external',
        `"${name}" is an external link into "${link.file}"; resnode does not read other files`,
      );
    if (link.kind === 'soft') {
      if (softLinks >= MAX_SOFT_LINKS) throw damaged(`the link "${name}" leads back to itself`);
      return this.#resolve(link.path, softLinks + 1);
    }
    return this.at(link.address);
  }

  /** The target of a reference; null if it is neither a group nor a dataset. */
  at(address: number): Hdf5Object | null {
    const header = new ObjectHeader(this.#header.source, address);
    if (header.has(MESSAGE.layout)) return new Hdf5Dataset(header);
    if (header.has(MESSAGE.symbolTable) || header.has(MESSAGE.linkInfo))
      return new Hdf5Group(header, this.#root);
    return null; // a datatype with a name
  }
}

/** Reads the superblock (II.A), which lies at byte 0, 512, 1024, 2048, …; returns the address of the root's header. */
function rootOf(source: Source): number {
  let at = 0;
  while (at + 8 <= source.size && source.read(at, 8).toString('latin1') !== SIGNATURE)
    at = at === 0 ? 512 : at * 2;
  if (at + 48 > source.size) throw damaged('this is not an HDF5 file, or its beginning is missing');
  const head = source.cursor(at, Math.min(128, source.size - at));
  head.skip(8);
  const version = head.checkVersion('superblock', 0, 1, 2, 3);
  const sizes = (cursor: Cursor): void => {
    [source.offsetSize, source.lengthSize] = [cursor.u8(), cursor.u8()];
    if (![2, 4, 8].includes(source.offsetSize) || ![2, 4, 8].includes(source.lengthSize))
      throw unsupported(`addresses of ${source.offsetSize} and lengths of ${source.lengthSize} bytes`);
  };
  let root: number;
  let end: number;
  if (version < 2) {
    head.skip(4);
    sizes(head);
    head.skip(version === 0 ? 9 : 13);
    source.base = head.definedAddress('the file');
    head.address();
    end = head.definedAddress("the file's end");
    if (head.address() !== null) throw unsupported('it is one of several files (a driver information block)');
    head.skip(source.offsetSize);
    root = head.definedAddress('the root group');
  } else {
    sizes(head);
    head.skip(1);
    const checked = source.checkedBlock(at, SIGNATURE.slice(0, 4), 16 + 4 * source.offsetSize);
    checked.at = 12;
    source.base = checked.definedAddress('the file');
    checked.address();
    end = checked.definedAddress("the file's end");
    root = checked.definedAddress('the root group');
  }
  // If the beginning of a file was removed or moved, its addresses count from its signature (H5F__super_read).
  const moved = at - source.base;
  source.base = at;
  if (end + moved > source.size)
    throw damaged(`it has ${source.size} bytes of ${end + moved}: it is truncated; copy it again`);
  return root;
}
