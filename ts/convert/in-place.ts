/** Changes layers in single-assignment form to Caffe's convention, in which elementwise layers work in place. */
import type { LayerParameter } from '../caffe/net-parameter.ts';

const IN_PLACE = [
  'BatchNorm',
  'Scale',
  'Bias',
  'ReLU',
  'PReLU',
  'ELU',
  'Sigmoid',
  'TanH',
  'AbsVal',
  'Power',
  'Dropout',
];

/**
 * Gives the bottom of an in-place layer the name of its top if no other layer reads it; the last name of a chain stays.
 * In the same way a Split with one top, which only renames a blob, disappears. Tops that nothing reads and that are not
 * outputs become bottoms of a Silence layer, so that Caffe does not report them.
 * @param layers Every top is made once.
 * @param outputs Names that must stay.
 */
export function runInPlace(
  layers: readonly LayerParameter[],
  outputs: ReadonlySet<string>,
): LayerParameter[] {
  const readers = new Map<string, number>();
  for (const { bottom = [] } of layers)
    for (const name of bottom) readers.set(name, (readers.get(name) ?? 0) + 1);
  const inputs = new Set(layers.flatMap(({ type, top = [] }) => (type === 'Input' ? top : [])));
  const renamed = new Map<string, string>();
  const nameOf = (name: string) => renamed.get(name) ?? name;
  const result: LayerParameter[] = [];
  for (const layer of [...layers].reverse()) {
    const { type = '', bottom = [], top = [] } = layer;
    const [source, target] = [bottom[0], top[0]];
    const isAlone = bottom.length === 1 && top.length === 1 && readers.get(source!) === 1;
    const mayRename = isAlone && !outputs.has(source!) && !inputs.has(source!);
    if (mayRename && (IN_PLACE.includes(type) || type === 'Split')) renamed.set(source!, nameOf(target!));
    if (type !== 'Split' || !mayRename) result.push(layer);
  }
  const unread = layers.flatMap(({ top = [] }) =>
    top.filter((name) => !readers.has(name) && !outputs.has(name)),
  );
  return [
    ...result.reverse().map((layer) => ({
      ...layer,
      ...(layer.bottom === undefined ? {} : { bottom: layer.bottom.map(nameOf) }),
      ...(layer.top === undefined ? {} : { top: layer.top.map(nameOf) }),
    })),
    ...(unread.length === 0 ? [] : [{ name: 'silence', type: 'Silence', bottom: unread }]),
  ];
}
