/** `resnode run`: raw float32 input and output, without any preprocessing. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { checkRegularFile, makeFolder } from '../base/files.ts';
import { elementCount } from '../base/shape.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { wrongKindHint } from '../caffe/wrong-kind.ts';
import { checkHdf5Outputs, writeHdf5Outputs } from '../data/hdf5-output.ts';
import { readInputShapes } from '../data/read-shapes.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { hdf5Blobs, hdf5Outputs } from '../layers/sinks.ts';
import { needed, own } from './flag.ts';
import type { InputFile } from './flag-kinds.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  type PrecisionFlags,
  precisionOption,
  readFilteredNet,
  type StateFlags,
  stateOptions,
  stateUsed,
} from './options.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, PrecisionFlags, StateFlags, InputShapeFlags {
  model: string;
  weights?: string;
  input: InputFile[];
  out: string;
  blobs?: string[];
  json?: boolean;
}

export function run(): Command {
  const command = new Command()
    .addOption(needed(own('model')))
    .addOption(own('weightsOrFillers'))
    .addOption(needed(own('inputs')))
    .addOption(needed(own('outRun')))
    .addOption(own('blobs'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
Example:
  resnode run --model net.prototxt --weights net.caffemodel --input data=image.f32:1x3x224x224 \\
    --out out --blobs conv1,prob`,
    );
  return inputShapeOption(stateOptions(precisionOption(deviceOptions(weightsOptions(command))))).action(
    async (flags: Flags) => {
      const net = readFilteredNet(flags.model, flags);
      const given = flags.input
        .filter(({ shape }) => shape !== null)
        .map(({ name, shape }) => [name, shape!]);
      const inputShapes = await readInputShapes(net, { ...flags.inputShape, ...Object.fromEntries(given) });
      const state = stateUsed(net);
      const hdf5 = hdf5Outputs(net);
      checkHdf5Outputs(hdf5);
      const isAll = flags.blobs?.length === 1 && flags.blobs[0] === 'all';
      const outputs = isAll
        ? [...graphFromCaffe(net, { phase: state.phase, inputShapes }).blobs.keys()]
        : flags.blobs;
      await using device = await openFlagged(flags);
      await using model = await device.load({
        model: net,
        ...state,
        inputShapes,
        precision: flags.precision,
        ...(flags.weights === undefined ? {} : { weights: flags.weights }),
        ...matchOf(flags),
        ...(outputs === undefined ? {} : { outputs }),
        moreOutputs: hdf5Blobs(hdf5),
      });
      const inputs = Object.fromEntries(
        flags.input.map(({ name, file }) => [name, readFloats(file, name, model.inputs[name])]),
      );
      const results = await model.run(inputs);
      await writeHdf5Outputs(hdf5, results);
      makeFolder(flags.out);
      const requested = Object.entries(results).filter(
        ([name]) => outputs?.includes(name) ?? !hdf5Blobs(hdf5).includes(name),
      );
      const files = requested.map(([name, { shape, data }]) => {
        // A blob's name may contain a slash.
        const file = `${encodeURIComponent(name)}.f32`;
        writeFileAtomically(join(flags.out, file), [new Uint8Array(data.buffer)]);
        return [name, { file, shape }] as const;
      });
      const manifest = {
        format: 'resnode-run/1',
        model: flags.model,
        weights: flags.weights ?? null,
        device: device.kind,
        ...state,
        inputs: Object.fromEntries(
          flags.input.map(({ name, file }) => [name, { file, shape: model.inputs[name] }]),
        ),
        blobs: Object.fromEntries(files),
      };
      const text = `${JSON.stringify(manifest, null, 2)}\n`;
      writeFileAtomically(join(flags.out, 'manifest.json'), [text]);
      if (flags.json) process.stdout.write(text);
      else
        for (const [name, { file, shape }] of files)
          console.log(`${name.padEnd(28)} ${shape.join('×').padEnd(18)} ${join(flags.out, file)}`);
    },
  );
}

/** @param shape The shape that the net expects; undefined if it has no such input, which the run reports. */
function readFloats(file: string, name: string, shape: readonly number[] | undefined): Float32Array {
  checkRegularFile(file);
  const wrong = wrongKindHint(file, 'floats');
  if (wrong !== null)
    throw new ArgumentError('--input', 'a file that holds only little-endian float32', file, wrong);
  const bytes = readFileSync(file);
  const image = shape === undefined ? 4 : 4 * elementCount(shape.slice(1));
  if (bytes.length % image !== 0)
    throw new ArgumentError(
      `--input ${name}`,
      `float32 of ${shape?.join('×') ?? 'the shape'}, ${4 * elementCount(shape ?? [1])} bytes, or of another batch size`,
      file,
      `it has ${bytes.length} bytes`,
    );
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
