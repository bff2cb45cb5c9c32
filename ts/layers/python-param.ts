/** Reads numbers, lists of numbers and words from python_param's param_str, which is YAML or a dictionary of Python. */
import type { Position } from '../base/errors.ts';
import { positionOf } from '../caffe/message.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';

export interface PythonParam {
  /** Undefined if it is missing. */
  readonly number: (name: string) => number | undefined;
  /** A required number above 0. */
  readonly positive: (name: string) => number;
  /** Numbers above 0; undefined if they are missing. */
  readonly numbers: (name: string) => readonly number[] | undefined;
  readonly word: (name: string) => string | undefined;
}

/** @param fail Throws the error for a value that is missing or has the wrong kind. */
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
