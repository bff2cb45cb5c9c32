/**
 * MAT-files of version 7.3: HDF5 after a header of 512 bytes. The attribute MATLAB_class of an array gives its class. Cells
 * and the fields of struct arrays are references into the group #refs#
 * (https://www.mathworks.com/help/matlab/import_export/mat-file-versions.html).
 */
import { readHdf5 } from '../../caffe/hdf5-file.ts';
import { Hdf5Dataset } from '../../hdf5/dataset.ts';
import { Hdf5Group, type Hdf5Object } from '../../hdf5/file.ts';
import { countingValues, type MatFields, type MatValue, matError } from './mat-value.ts';

/**
 * The variables of a file by name.
 * @throws WeightsError `matlab/…`, `weights/hdf5-…`
 */
export const readMat73 = (file: string): Promise<MatFields> =>
  readHdf5(file, async (root) => {
    const reader = new Reader(file, root);
    const variables = new Map<string, MatValue>();
    for (const name of root.names())
      if (!name.startsWith('#')) variables.set(name, await reader.value(root.get(name), 0));
    return variables;
  });

const NOTHING: MatValue = { kind: 'numeric', dims: [0, 0], values: () => [] };

class Reader {
  readonly #file: string;
  readonly #root: Hdf5Group;
  readonly #count: (depth: number) => void;

  constructor(file: string, root: Hdf5Group) {
    this.#file = file;
    this.#count = countingValues(file);
    this.#root = root;
  }

  async value(object: Hdf5Object | null, depth: number): Promise<MatValue> {
    // References may be circular.
    this.#count(depth);
    if (object === null) return NOTHING;
    if (object instanceof Hdf5Group) return this.#struct(object, depth);
    const [type] = object.texts('MATLAB_class') ?? [];
    if (object.texts('MATLAB_empty') !== undefined)
      return type === 'char'
        ? { kind: 'text', text: '' }
        : type === 'cell'
          ? { kind: 'cell', items: [] }
          : type === 'struct'
            ? { kind: 'struct', items: [] }
            : NOTHING;
    if (object.isReferences) return { kind: 'cell', items: await this.#referred(object, depth) };
    if (object.type.kind !== 'float' && object.type.kind !== 'integer')
      return { kind: 'other', what: object.typeName };
    const values = await object.values();
    if (type === 'char') {
      const units = Uint16Array.from(values as ArrayLike<number>);
      return { kind: 'text', text: Buffer.from(units.buffer).toString('utf16le') };
    }
    // MATLAB's first dimension is HDF5's last, so the values have the same order.
    const dims = [...object.shape].reverse();
    const isBig = values instanceof BigInt64Array || values instanceof BigUint64Array;
    return { kind: 'numeric', dims, values: () => (isBig ? Float64Array.from(values, Number) : values) };
  }

  async #referred(dataset: Hdf5Dataset, depth: number): Promise<MatValue[]> {
    const items: MatValue[] = [];
    for (const address of await dataset.references())
      items.push(await this.value(address === null ? null : this.#root.at(address), depth + 1));
    return items;
  }

  async #struct(group: Hdf5Group, depth: number): Promise<MatValue> {
    const members = group.names().map((name) => [name, group.get(name)] as const);
    const isArray =
      members.length > 0 &&
      members.every(
        ([, member]) =>
          member instanceof Hdf5Dataset && member.isReferences && member.texts('MATLAB_class') === undefined,
      );
    if (!isArray) {
      const fields = new Map<string, MatValue>();
      for (const [name, member] of members) fields.set(name, await this.value(member, depth + 1));
      return { kind: 'struct', items: [fields] };
    }
    const items: Map<string, MatValue>[] = [];
    for (const [name, member] of members) {
      const values = await this.#referred(member as Hdf5Dataset, depth);
      if (items.length > 0 && values.length !== items.length)
        throw matError(
          this.#file,
          `the fields of a struct have ${items.length} and ${values.length} elements`,
        );
      values.forEach((value, i) => {
        items[i] ??= new Map<string, MatValue>();
        items[i]!.set(name, value);
      });
    }
    return { kind: 'struct', items };
  }
}
