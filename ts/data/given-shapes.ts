/** Shapes that the prototxt says, not the data. */
import type { LayerParameter } from '../caffe/net-parameter.ts';
import type { Context } from './layer-context.ts';

/** The shapes that a prototxt says; null for a type whose data have them. */
export function givenShapes(
  layer: LayerParameter,
  { type, tops, refuse }: Context,
): Record<string, readonly number[]> | null {
  const perTop = <T>(values: readonly T[], what: string): T[] => {
    if (values.length !== 1 && values.length !== tops.length)
      throw refuse(`has ${values.length} ${what}; give one, or one a top (${tops.length})`);
    return tops.map((_, i) => values[i] ?? values[0]!);
  };
  const dims = (field: 'input_param' | 'dummy_data_param') =>
    ((layer[field]?.shape as { dim?: number[] }[] | undefined) ?? []).map(({ dim }) => dim ?? []);
  const named = (shapes: readonly (readonly number[])[]) =>
    Object.fromEntries(tops.map((top, i) => [top, shapes[i]!]));
  if (type === 'Input') return named(perTop(dims('input_param'), 'shapes'));
  if (type === 'DummyData') {
    const param = layer.dummy_data_param ?? {};
    const legacy = ['num', 'channels', 'height', 'width'].map(
      (field) => (param[field] as number[] | undefined) ?? [],
    );
    if (legacy.every((values) => values.length === 0))
      return named(perTop(dims('dummy_data_param'), 'shapes'));
    const [num, channels, height, width] = legacy.map((values) =>
      perTop(values, 'num, channels, height or width'),
    );
    return named(tops.map((_, i) => [num![i]!, channels![i]!, height![i]!, width![i]!]));
  }
  if (type !== 'MemoryData') return null;
  const sizes = ['batch_size', 'channels', 'height', 'width'].map((field) =>
    Number(layer.memory_data_param?.[field] ?? 0),
  );
  if (tops.length !== 2 || sizes.some((size) => size < 1))
    throw refuse('MemoryData needs batch_size, channels, height, width and two tops, data and label');
  return { [tops[0]!]: sizes, [tops[1]!]: [sizes[0]!] };
}
