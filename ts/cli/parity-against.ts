/** `resnode parity --against` compares one net on two sides, layer by layer. */

import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { type NetParameter, readNetFile } from '../caffe/net-parameter.ts';
import { readWeights } from '../caffe/read-weights.ts';
import { onnxTops } from '../convert/onnx-tops.ts';
import { type DeviceKind, openDevice } from '../device/device.ts';
import type { Shapes, Tensor } from '../device/tensor.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { imageInput } from '../images/features/image-input.ts';
import { preprocessFile } from '../images/preprocess.ts';
import { mapFile } from '../native/host-memory.ts';
import { readDump } from '../tools/parity/against/dump.ts';
import { compareInput, type InputComparison } from '../tools/parity/against/input.ts';
import {
  compareLayers,
  type LayerDifference,
  type LayersComparison,
} from '../tools/parity/against/layers.ts';
import { deviceTops, type NetToRun, type TopsSource } from '../tools/parity/against/tops.ts';
import { randomInputs } from '../tools/parity/random-input.ts';
import { BrokenImages } from './broken-images.ts';
import { flag, own } from './flag.ts';
import { imageFiles } from './image-files.ts';
import {
  checkGivenShapes,
  type DeviceFlags,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  type PrecisionFlags,
} from './options.ts';
import { limitsOf, type PreprocessFlags, preprocessOf, preprocessOptions } from './preprocess-options.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

export interface AgainstFlags
  extends DeviceFlags,
    PrecisionFlags,
    PreprocessFlags,
    WeightsFlags,
    InputShapeFlags {
  model?: string;
  weights?: string;
  against?: string;
  images?: string[];
  skipBroken?: boolean;
  tolerance?: number;
  json?: boolean;
}

/** Adds --model, --weights, --against, --images, --tolerance and the flags for preparing images. */
export function againstOptions(command: Command): Command {
  const added = command
    .addOption(own('comparedModel'))
    .addOption(own('weightsOrFillers'))
    .addOption(own('against'))
    .addOption(own('imagesToCompare'))
    .addOption(own('skipBroken'))
    .addOption(flag('compareLayers', 'tolerance', '--tolerance <share>'));
  weightsOptions(added);
  return inputShapeOption(preprocessOptions(added));
}

/** Runs the comparison, prints it and sets the exit status. */
export async function parityAgainst(command: Command, flags: AgainstFlags): Promise<void> {
  const { model: file, against, images } = flags;
  if (file === undefined || against === undefined)
    return command.error('error: expected folders of recorded cases, or --model and --against', {
      exitCode: 2,
    });
  const net = readNetFile(file);
  const weights = flags.weights === undefined ? null : await readWeights(flags.weights, mapFile);
  const files = images === undefined ? null : await imageFiles(images, '--images');
  const other = await openOther(against, { net, weights, match: matchOf(flags) }, files, flags);
  try {
    await using device = await openFlagged(flags);
    const compared = await compareLayers({
      device,
      net,
      weights,
      match: matchOf(flags),
      source: other.source,
      inputShapes: other.shapes,
      inputs: other.inputs,
      precision: flags.precision,
      ...(flags.tolerance === undefined ? {} : { tolerance: flags.tolerance }),
    });
    const result = {
      ...compared,
      ok: compared.ok && other.prepared.every(({ ok }) => ok),
      images: other.prepared,
    };
    console.log(flags.json ? JSON.stringify(result) : comparisonText(result));
    if (!result.ok) process.exitCode = 1;
  } finally {
    other.close();
  }
}

interface Other {
  readonly source: TopsSource;
  readonly shapes: Shapes;
  readonly inputs: Iterable<Record<string, Tensor>> | AsyncIterable<Record<string, Tensor>>;
  /** Comparisons of images that were prepared here with the input of a dump. */
  readonly prepared: readonly InputComparison[];
  readonly close: () => void;
}

async function openOther(
  against: string,
  { net, weights, match = {} }: Omit<NetToRun, 'inputShapes'>,
  files: readonly string[] | null,
  flags: AgainstFlags,
): Promise<Other> {
  if (!/^(cpu|reference|cuda(:\d{1,3})?|onnx)$/.test(against)) {
    if (!statSync(against, { throwIfNoEntry: false })?.isDirectory())
      throw new ArgumentError(
        '--against',
        'cpu, reference, cuda, cuda:1 (…), onnx, or the folder of a dump',
        against,
      );
    const dump = readDump(against);
    checkGivenShapes(flags.inputShape, dump.inputs, 'the dump has');
    const shapes = Object.fromEntries(Object.entries(dump.inputs).map(([name, { shape }]) => [name, shape]));
    const prepared = files === null ? [] : await prepareBeside(dump.inputs, files, flags);
    return { source: dump, shapes, inputs: [dump.inputs], prepared, close: dump.dispose };
  }
  const { inputs, shapes } = inputsOf(net, files, flags);
  const run = { net, weights, match, inputShapes: shapes };
  if (against === 'onnx') {
    const source = await onnxTops(run);
    return { source, shapes, inputs, prepared: [], close: source.dispose };
  }
  const device = await openDevice(against as DeviceKind, {
    cudnn: flags.cudnn,
    winograd: flags.winograd,
    tune: flags.tune,
  });
  const source = await deviceTops(device, run).catch((error: unknown) => {
    device.dispose();
    throw error;
  });
  const close = () => {
    source.dispose();
    device.dispose();
  };
  return { source, shapes, inputs, prepared: [], close };
}

/** Random values in the shapes of the net, or one image per run. */
function inputsOf(net: NetParameter, files: readonly string[] | null, flags: AgainstFlags) {
  const graph = graphFromCaffe(net, { inputShapes: flags.inputShape });
  const written = Object.fromEntries(
    graph.inputs.map((id) => [graph.values[id]!.blob, graph.values[id]!.shape]),
  );
  if (files === null) {
    return { shapes: written, inputs: [randomInputs(written)] };
  }
  const { name, channels, size } = imageInput({ inputs: written });
  const shape = [1, channels, size.height, size.width];
  const preprocess = preprocessOf(flags, size, flags.model!);
  async function* prepared() {
    const broken = new BrokenImages(flags);
    for (const file of files!) {
      const data = await broken.guard(preprocessFile(file, preprocess, channels, limitsOf(flags)));
      if (data !== null) yield { [name]: { shape, data } };
    }
    broken.end(files!.length);
  }
  return { shapes: { [name]: shape }, inputs: prepared() };
}

async function prepareBeside(
  inputs: Readonly<Record<string, Tensor>>,
  files: readonly string[],
  flags: AgainstFlags,
): Promise<InputComparison[]> {
  const shapes = Object.fromEntries(Object.entries(inputs).map(([name, { shape }]) => [name, shape]));
  const { name, size } = imageInput({ inputs: shapes });
  const recorded = inputs[name]!;
  if (files.length !== recorded.shape[0])
    throw new ArgumentError(
      '--images',
      `the ${recorded.shape[0]} images of the dump, in its order`,
      files.length,
    );
  const preprocess = preprocessOf(flags, size, flags.model!);
  const results: InputComparison[] = [];
  for (const [i, file] of files.entries())
    results.push(await compareInput(file, preprocess, recorded, i, limitsOf(flags)));
  return results;
}

function comparisonText(result: LayersComparison & { readonly images: readonly InputComparison[] }): string {
  const { device, against, runs, layers, firstDivergence, notCompared, images } = result;
  const width = Math.max(...layers.map(({ name }) => name.length));
  const line = (mark: string, name: string, cells: readonly string[]) =>
    `${mark} ${name.padEnd(width)} ${cells.map((cell, i) => (i < 2 ? cell.padEnd(i === 0 ? 16 : 18) : cell.padStart(10))).join(' ')}`;
  const row = ({ ok, name, type, shape, absolute, relative, tolerance, mode }: LayerDifference) =>
    line(ok ? ' ' : '!', name, [
      mode === 'fused' ? 'fused' : type,
      shape.join('×'),
      absolute.toExponential(2),
      relative.toExponential(2),
      tolerance.toExponential(2),
    ]);
  const worst = layers.reduce((most, each) => (each.relative > most.relative ? each : most));
  const verdict = `${layers.length} tops of ${runs === 1 ? 'one run' : `${runs} runs`} on ${device} against ${against}, the largest difference at ${worst.name} (${worst.relative.toExponential(2)}): `;
  return [
    ...images.flatMap(imageLines),
    line(' ', 'blob@layer', ['type', 'shape', 'absolute', 'relative', 'tolerance']),
    ...layers.map(row),
    `${verdict}${firstDivergence === null ? 'all within tolerance' : 'beyond tolerance'}`,
    ...(firstDivergence === null
      ? []
      : [
          `first beyond tolerance: ${firstDivergence.name} (${firstDivergence.type})`,
          `likely cause (${firstDivergence.cause.name}): ${firstDivergence.cause.text}`,
        ]),
    ...(notCompared.length === 0
      ? []
      : [`not compared, because ${against} does not have them: ${notCompared.join(', ')}`]),
  ].join('\n');
}

function imageLines({ image, absolute, mean, tolerance, ok, cause }: InputComparison): string[] {
  const levels = `${mean.toFixed(3)} grey levels on average (tolerance ${tolerance}), ${absolute.toExponential(2)} at most`;
  return [
    `${ok ? ' ' : '!'} ${image}: prepared here, it differs from the dump's input by ${levels}`,
    ...(cause === null ? [] : [`  likely cause (${cause.name}): ${cause.text}`]),
  ];
}
