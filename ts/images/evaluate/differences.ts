/** Where two JSON values differ, in words. */
import { isDeepStrictEqual } from 'node:util';

/** Every leaf that differs between two JSON values. */
export function differences(before: unknown, after: unknown, path = ''): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const text = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 200);
  if (!isObject(before) || !isObject(after)) return [`${path}: ${text(before)}, now ${text(after)}`];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key) =>
    differences(before[key], after[key], path === '' ? key : `${path}.${key}`),
  );
}
