/** Reads nets for forks of Caffe to show them: the forks' extensions are omitted and marked in place. */
import { path } from '../../base/kinds.ts';
import { required, signature } from '../../base/options.ts';
import {
  type LayerParameter,
  type NetParameter,
  positionOf,
  readNetFile,
} from '../../caffe/net-parameter.ts';
import type { ForkField } from '../../caffe/prototxt-source.ts';

export interface ForkMarks {
  /** Layers that a fork computes differently, with the reason in words. */
  readonly problems: ReadonlyMap<LayerParameter, string>;
  /** Layers whose meaning does not depend on the omitted fields. */
  readonly remarks: ReadonlyMap<LayerParameter, string>;
  /** About the net itself. */
  readonly net: readonly string[];
}

const READ_NET_WITH_MARKS = signature('readNetWithMarks', {
  file: required(path, 'The path of a prototxt.'),
});

/**
 * Reads a prototxt. Extensions of known forks of Caffe are omitted and marked.
 * @throws PrototxtError for anything else that BVLC's Caffe refuses; ArgumentError if the file cannot be read
 */
export function readNetWithMarks(file: string): { readonly net: NetParameter; readonly marks: ForkMarks } {
  READ_NET_WITH_MARKS.check(file);
  const found: ForkField[] = [];
  const net = readNetFile(file, { onForkField: (field) => found.push(field) });
  const layers = (net.layer ?? []).flatMap((layer) => {
    const position = positionOf(layer);
    return position === undefined ? [] : [{ layer, position }];
  });
  const marks = { problems: new Map<LayerParameter, string>(), remarks: new Map(), net: [] as string[] };
  for (const { refusal, type, tunes } of found) {
    const { line, column } = refusal.position;
    const text = `line ${line}: ${refusal.message.slice(refusal.message.indexOf(': ') + 2)}`;
    const owner = layers.findLast(
      ({ position }) => position.line < line || (position.line === line && position.column <= column),
    );
    if (type === 'NetParameter' || owner === undefined) {
      marks.net.push(text);
      continue;
    }
    const list = tunes ? marks.remarks : marks.problems;
    const before = list.get(owner.layer);
    list.set(owner.layer, before === undefined ? text : `${before}; ${text}`);
  }
  return { net, marks };
}
