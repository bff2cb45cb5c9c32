/** Writes the files that the engines need to run in int8, beside those of prepare.ts: ranges measured on the same input. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ResnodeError } from '../../base/errors.ts';
import { ownFile } from '../../base/own-package.ts';
import { saveCalibration } from '../../compile/calibration.ts';
import { openDevice } from '../../device/device.ts';
import { calibrate } from '../../quantize/calibrate.ts';
import type { BenchNet } from './nets.ts';
import { readFloats } from './read-floats.ts';

/**
 * Writes NAME.calibration.json for resnode and, if a Python is given, NAME-N-int8.onnx for ONNX Runtime.
 * @param python A Python with onnxruntime and onnx; null: only the calibration.
 * @throws ResnodeError `bench/quantize` if ONNX Runtime cannot quantize the net
 */
export async function prepareInt8(
  { name, net, input }: BenchNet,
  batch: number,
  folder: string,
  python: string | null,
): Promise<void> {
  const file = (suffix: string) => join(folder, `${name}${suffix}`);
  const data = readFloats(file(`-${batch}.f32`));
  await using device = await openDevice('cpu');
  const load = { model: net, weights: file('.caffemodel'), batch };
  saveCalibration(
    file('.calibration.json'),
    await calibrate(device, load, [{ data }], { method: 'min-max' }),
  );
  if (python === null) return;
  const job = {
    net: file(`-${batch}.onnx`),
    input: file(`-${batch}.f32`),
    shape: [batch, ...input],
    out: file(`-${batch}-int8.onnx`),
  };
  const { status, stderr, error } = spawnSync(
    python,
    [ownFile('tools/bench/onnx_quantize.py'), JSON.stringify(job)],
    { encoding: 'utf8' },
  );
  if (status !== 0)
    throw new ResnodeError(
      'bench/quantize',
      `${name}: ONNX Runtime could not quantize it with ${python}: ${error?.message ?? stderr.trim()}`,
    );
}
