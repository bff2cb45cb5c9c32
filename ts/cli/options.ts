/** What the commands share: how options are read, and how a device is opened and named. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { filterNet, type NetParameter, readNetFile } from '../caffe/net-parameter.ts';
import { DeviceError } from '../errors.ts';
import type { Communicator } from '../runtime/communicator.ts';
import { type Device, type DeviceKind, type LoadOptions, openDevice } from '../runtime/device.ts';

/** `5`: an integer from `minimum` on. */
export const integer =
  (minimum: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d{1,9}$/.test(text) || value < minimum)
      throw new InvalidArgumentError(`Expected an integer of at least ${minimum}.`);
    return value;
  };

/** `0.01`: a number of at least 0. */
export const real = (text: string): number => {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && Number.isFinite(value)))
    throw new InvalidArgumentError('Expected a number of at least 0.');
  return value;
};

/** `104,117,123`. */
export const numbers = (text: string): number[] => {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (values.some(Number.isNaN)) throw new InvalidArgumentError('Expected numbers with commas between them.');
  return values;
};

/** `deploy,a`. */
export const names = (text: string): string[] => text.split(',').filter((part) => part !== '');

/** Options of every command that computes. */
export interface DeviceFlags {
  device: DeviceKind;
  threads?: number;
  cudnn: boolean;
  tune: boolean;
}

/** `cuda:1`. */
export const deviceKind = (text: string): DeviceKind => {
  if (!/^(auto|cpu|cuda(:\d{1,3})?|reference)$/.test(text))
    throw new InvalidArgumentError('Expected auto, cpu, cuda, cuda:1 (…) or reference.');
  return text as DeviceKind;
};

/** Adds --device, --threads, --no-cudnn and --no-tune. */
export function deviceOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--device <kind>', 'where to compute: auto, cpu, cuda, cuda:1 (…) or reference')
        .argParser(deviceKind)
        .default('auto'),
    )
    .option('--threads <n>', 'threads of the CPU device (default: as many as there are)', integer(1))
    .option('--no-cudnn', "compute with resnode's own kernels alone on a CUDA device")
    .option('--no-tune', 'take the likely best convolutions, time none');
}

const FLOATS = ['float32', 'tf32', 'float16', 'bfloat16'] as const;

/** The GPUs of processes that train together, by their places on a machine. */
export type Gpus = readonly number[] | 'all';

/** `0,1` or `all`. */
export const gpus = (text: string): Gpus => {
  if (text === 'all') return text;
  const ids = text.split(',').map(integer(0));
  if (new Set(ids).size < ids.length) throw new InvalidArgumentError('Expected every GPU once.');
  return ids;
};

/** Caffe's flag. */
export interface GpuFlags {
  gpu?: number;
}

export const gpuOption = (): Option =>
  new Option('--gpu <id>', "Caffe's flag: the same as --device cuda:<id>").argParser((text) => {
    if (/^(all|\d+(,\d+)+)$/.test(text))
      throw new InvalidArgumentError('Expected the number of one GPU: only train takes several.');
    return integer(0)(text);
  });

/** The device that --gpu means, where it was given. */
export const withGpu = <T extends DeviceFlags & GpuFlags>(flags: T): T =>
  flags.gpu === undefined ? flags : { ...flags, device: `cuda:${flags.gpu}` };

/** What nets are trained in. */
export interface TrainingPrecisionFlags extends PrecisionFlags {
  lossScale?: number;
}

/** What nets are computed in. */
export interface PrecisionFlags {
  precision: (typeof FLOATS)[number];
}

/** Adds --precision and --loss-scale. */
export function trainingPrecisionOptions(command: Command): Command {
  return precisionOption(command).option(
    '--loss-scale <factor>',
    'the backward pass computes with so many times the diffs (default: 1024 in float16, else 1)',
    real,
  );
}

/** What nets are trained in, as train options. */
export function trainingPrecisionOf({ precision, lossScale }: TrainingPrecisionFlags) {
  return { precision, ...(lossScale === undefined ? {} : { lossScale }) };
}

/** Adds --precision. */
export function precisionOption(command: Command): Command {
  return command.addOption(
    new Option('--precision <name>', 'what to store and multiply in (all but float32 need a CUDA device)')
      .choices(FLOATS)
      .default('float32'),
  );
}

/** The same with int8. */
export interface AnyPrecisionFlags {
  precision: NonNullable<LoadOptions['precision']>;
  calibration?: string;
}

/** Adds --precision and --calibration. */
export function anyPrecisionOption(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--precision <name>',
        'what to store and multiply in (int8 needs the CPU device and a calibration, all others but float32 a CUDA device)',
      )
        .choices([...FLOATS, 'int8'])
        .default('float32'),
    )
    .option('--calibration <json>', 'for int8: what `resnode quantize` wrote');
}

/** The same as load options. */
export function precisionOf({ precision, calibration }: AnyPrecisionFlags) {
  return calibration === undefined ? { precision } : { precision, calibration };
}

/** Opens the device of the flags; says on a terminal what `auto` chose. */
export async function openFlagged(
  { device, threads, cudnn, tune }: DeviceFlags,
  communicator: Communicator | null = null,
): Promise<Device> {
  const opened = await openDevice(device, {
    cudnn,
    tune,
    ...(threads === undefined ? {} : { threads }),
    ...(communicator === null ? {} : { communicator }),
  }).catch((error: unknown) => {
    if (!(error instanceof DeviceError && device.startsWith('cuda'))) throw error;
    const { code, device: name, message } = error;
    throw new DeviceError(code, name, `${message}; --device cpu computes on the processor`, { cause: error });
  });
  if (device === 'auto' && process.stderr.isTTY)
    console.error(`resnode: computing on ${opened.kind} (${opened.reason})`);
  return opened;
}

/** Caffe's NetState. */
export interface StateFlags {
  phase?: 'TRAIN' | 'TEST';
  level?: number;
  stage?: string[];
}

/** Adds Caffe's --phase, --level and --stage. */
export function stateOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--phase <phase>', "the net's phase (default: its own state, else TEST)").choices([
        'TRAIN',
        'TEST',
      ]),
    )
    .option('--level <n>', "the net's level (default: its own state, else 0)", integer(0))
    .option('--stage <names>', "the net's stages, with commas between them (default: its own state)", names);
}

/** The same as load options. */
export function netState({ phase, level, stage }: StateFlags) {
  return {
    ...(phase === undefined ? {} : { phase }),
    ...(level === undefined ? {} : { level }),
    ...(stage === undefined ? {} : { stages: stage }),
  };
}

/** The whole state that a filtered net was filtered for, as load options. */
export function stateUsed({ state }: NetParameter) {
  return { phase: state?.phase ?? 'TEST', level: state?.level ?? 0, stages: state?.stage ?? [] };
}

/** Shapes of inputs that the command line gives. */
export interface InputShapeFlags {
  inputShape: Readonly<Record<string, number[]>>;
}

/** Adds --input-shape. */
export function inputShapeOption(command: Command): Command {
  return command.option(
    '--input-shape <name=shape>',
    'of an input, e.g. data=1x3x224x224; once an input (default: as written; of data layers as they crop, or as what they read)',
    inputShape,
    {},
  );
}

function inputShape(text: string, previous: Record<string, number[]>): Record<string, number[]> {
  const [, name, dims] = /^([^=]+)=(\d+(?:[x,×]\d+)*)$/.exec(text) ?? [];
  if (name === undefined || dims === undefined)
    throw new InvalidArgumentError('Expected NAME=SHAPE, e.g. data=1x3x224x224.');
  return { ...previous, [name]: dims.split(/[x,×]/).map(Number) };
}

/** Reads a prototxt and filters it for a state. */
export function readFilteredNet(file: string, flags: StateFlags = {}): NetParameter {
  return filterNet(readNetFile(file), netState(flags));
}
