/** python_param's param_str: YAML or a dictionary of Python, of which numbers, lists of them and words are read. */
import type { Position } from '../base/errors.ts';
import { positionOf } from '../caffe/message.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';

export interface PythonParam {
  /** Undefined: it is not there. */
  readonly number: (name: string) => number | undefined;
  /** A number above 0 that must be there. */
  readonly positive: (name: string) => number;
  /** Numbers above 0; undefined: they are not there. */
  readonly numbers: (name: string) => readonly number[] | undefined;
  readonly word: (name: string) => string | undefined;
}

/** @param fail Refuses what must be there, or is something else. */
export function readPythonParam(
  { python_param: param }: LayerParameter,
  fail: (text: string, at: string | Position) => never,
): PythonParam {
  const text = String(param?.param_str ?? '');
  const at = positionOf(param, 'param_str') ?? 'python_param';
  const value = (name: string) =>
    new RegExp(
      `['"]?\\b${name}['"]?\\s*:\\s*(?:!!python/tuple\\s*)?([\\[(][^\\])]*[\\])]|['"]?[-+.\\w]+['"]?)`,
    ).exec(text)?.[1];
  const numbersIn = (written: string) => (written.match(/[-+]?[\d.]+(?:e[-+]?\d+)?/gi) ?? []).map(Number);
  const number = (name: string) => numbersIn(value(name) ?? '')[0];
  return {
    number,
    positive(name) {
      const found = number(name);
      return found !== undefined && found > 0
        ? found
        : fail(`param_str must give ${name}, such as "'${name}': 16"`, at);
    },
    numbers(name) {
      const written = value(name);
      if (written === undefined) return undefined;
      const found = numbersIn(written);
      return found.length > 0 && found.every((each) => each > 0)
        ? found
        : fail(`${name} of param_str must be numbers above 0, found ${written}`, at);
    },
    word: (name) => value(name)?.replaceAll(/['"]/g, ''),
  };
}
