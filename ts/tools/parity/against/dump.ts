/** A folder that scripts/caffe-dump.py wrote in a build of Caffe: its inputs, and every layer's tops. */

import { ResnodeError } from '../../../base/errors.ts';
import { path } from '../../../base/kinds.ts';
import { required, signature } from '../../../base/options.ts';
import type { Tensor } from '../../../device/tensor.ts';
import { type RecordedArray, readGoldenCase, readRecorded } from '../golden-case.ts';
import type { TopsSource } from './tops.ts';

export interface Dump extends TopsSource {
  /** The inputs of the net there, by blob. */
  readonly inputs: Readonly<Record<string, Tensor>>;
}

const READ_DUMP = signature('readDump', { folder: required(path, 'A folder that caffe-dump.py wrote.') });

/**
 * Reads a dump (format "caffe-golden/1", kind "net") of phase TEST; its last pass counts.
 * If only the final values of a blob were recorded, they belong to the last layer that makes it.
 * @throws ResnodeError `parity/manifest`, `parity/array`
 */
export function readDump(folder: string): Dump {
  READ_DUMP.check(folder);
  const golden = readGoldenCase(folder);
  if (golden.kind !== 'net' || golden.phase !== 'TEST')
    throw new ResnodeError(
      'parity/manifest',
      `${folder}: expected a net run in phase TEST, found kind "${golden.kind}"${golden.kind === 'net' ? ` in phase ${golden.phase}` : ''}; write one with scripts/caffe-dump.py`,
    );
  const { inputs = {}, blobs = {}, layers = {} } = golden.passes?.at(-1) ?? {};
  const read = (recorded: RecordedArray): Tensor => ({
    shape: recorded.shape,
    data: readRecorded(folder, recorded),
  });
  const run = async () => {
    const tops = new Map<string, Tensor>();
    const last = new Map(golden.structure.layers.flatMap(({ name, top }) => top.map((blob) => [blob, name])));
    for (const { name, top } of golden.structure.layers)
      for (const [i, blob] of top.entries()) {
        const recorded = layers[name]?.[i] ?? (last.get(blob) === name ? blobs[blob] : undefined);
        if (recorded !== undefined) tops.set(`${blob}@${name}`, read(recorded));
      }
    return tops;
  };
  return {
    by: `the dump ${folder}`,
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, recorded]) => [name, read(recorded)])),
    run,
    dispose: () => {},
  };
}
