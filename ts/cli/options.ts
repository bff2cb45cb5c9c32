/** Options that commands share, and functions that read them and open a device. */
import type { Command } from 'commander';
import { ArgumentError, DeviceError } from '../base/errors.ts';
import { filterNet, type NetParameter, readNetFile } from '../caffe/net-parameter.ts';
import type { Communicator } from '../device/communicator.ts';
import { type Device, type DeviceKind, type LoadOptions, openDevice } from '../device/device.ts';
// Registers the rows of device.load, which name flags below.
import '../device/nets.ts';
import type { Shapes } from '../device/tensor.ts';
import type { TrainOptions } from '../device/train-options.ts';
import { checkInputNames } from '../layers/data.ts';
import { type Flag, flag, group, off, own } from './flag.ts';

/** Headings of --help. */
const DEVICE = 'Device:';
export const NET = 'How the net is read:';

/** Options of every command that computes. */
export interface DeviceFlags {
  device: DeviceKind;
  threads?: number;
  cudnn: boolean;
  winograd: boolean;
  tune: boolean;
}

/** Adds --device, --threads, --no-cudnn, --no-winograd and --no-tune. */
export function deviceOptions(command: Command): Command {
  return group(
    command,
    DEVICE,
    flag('openDevice', 'kind', '--device <kind>', 'auto'),
    flag('openDevice', 'threads', '--threads <n>'),
    noCudnn(),
    off(
      'openDevice',
      'winograd',
      '--no-winograd',
      "Does not use Winograd's algorithms for 3×3 convolutions on the CPU device.",
    ),
    off(
      'openDevice',
      'tune',
      '--no-tune',
      'Does not measure convolutions that are new to this machine, but uses the algorithm that is probably fastest.',
    ),
  );
}

/** --no-cudnn for commands that name their devices themselves. */
export const noCudnn = (): Flag =>
  off('openDevice', 'cudnn', '--no-cudnn', "Uses only resnode's own kernels on a CUDA device.");

/** Caffe's flag --gpu. */
export interface GpuFlags {
  gpu?: number;
}

/** Applies --gpu to the device if it is given. */
export const withGpu = <T extends DeviceFlags & GpuFlags>(flags: T): T =>
  flags.gpu === undefined ? flags : { ...flags, device: `cuda:${flags.gpu}` };

/** The precision of training. */
export interface TrainingPrecisionFlags extends PrecisionFlags {
  lossScale?: number | 'dynamic';
}

/** The precision without int8, which needs a calibration. */
export interface PrecisionFlags {
  precision: NonNullable<TrainOptions['precision']>;
}

/** Adds --precision and --loss-scale. */
export function trainingPrecisionOptions(command: Command): Command {
  return group(
    command,
    DEVICE,
    flag('device.train', 'precision', '--precision <name>', 'float32'),
    flag('device.train', 'lossScale', '--loss-scale <factor>'),
  );
}

/** The precision of training as train options. */
export function trainingPrecisionOf({ precision, lossScale }: TrainingPrecisionFlags) {
  return { precision, ...(lossScale === undefined ? {} : { lossScale }) };
}

/** Adds --precision without int8. */
export function precisionOption(command: Command): Command {
  return group(command, DEVICE, own('precision', 'float32'));
}

/** The precision of inference including int8. */
export interface AnyPrecisionFlags {
  precision: NonNullable<LoadOptions['precision']>;
  calibration?: string;
}

/** Adds --precision and --calibration. */
export function anyPrecisionOption(command: Command): Command {
  return group(
    command,
    DEVICE,
    flag('device.load', 'precision', '--precision <name>', 'float32'),
    flag('device.load', 'calibration', '--calibration <json>'),
  );
}

/** The precision as load options. */
export function precisionOf({ precision, calibration }: AnyPrecisionFlags) {
  if (calibration !== undefined && precision !== 'int8')
    throw new ArgumentError('--precision', 'int8, which --calibration requires', precision);
  return calibration === undefined ? { precision } : { precision, calibration };
}

/** Opens the device of the flags; on a terminal, prints what `auto` chose. */
export async function openFlagged(
  { device, threads, cudnn, winograd, tune }: DeviceFlags,
  communicator: Communicator | null = null,
): Promise<Device> {
  const opened = await openDevice(device, {
    cudnn,
    winograd,
    tune,
    ...(threads === undefined ? {} : { threads }),
    ...(communicator === null ? {} : { communicator }),
  }).catch((error: unknown) => {
    if (!(error instanceof DeviceError && device.startsWith('cuda'))) throw error;
    const { code, device: name, message } = error;
    throw new DeviceError(code, name, `${message}; --device cpu computes on the CPU`, { cause: error });
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
  return group(
    command,
    NET,
    flag('device.load', 'phase', '--phase <phase>'),
    flag('device.load', 'level', '--level <n>'),
    flag('device.load', 'stages', '--stage <names>'),
  );
}

/** The state as load options. */
export function netState({ phase, level, stage }: StateFlags) {
  return {
    ...(phase === undefined ? {} : { phase }),
    ...(level === undefined ? {} : { level }),
    ...(stage === undefined ? {} : { stages: stage }),
  };
}

/** The complete state for which a net was filtered, as load options. */
export function stateUsed({ state }: NetParameter) {
  return { phase: state?.phase ?? 'TEST', level: state?.level ?? 0, stages: state?.stage ?? [] };
}

/** Shapes of inputs from the command line. */
export interface InputShapeFlags {
  inputShape: Readonly<Record<string, number[]>>;
}

/** Adds --input-shape. */
export function inputShapeOption(command: Command): Command {
  return group(command, NET, flag('device.load', 'inputShapes', '--input-shape <name=shape>', {}));
}

/**
 * If data feeds the inputs, their shapes must be those of the data.
 * @param who For example `the data has`.
 * @throws ArgumentError
 */
export function checkGivenShapes(
  given: Shapes,
  data: Readonly<Record<string, readonly number[] | { readonly shape: readonly number[] }>>,
  who: string,
): void {
  checkInputNames(Object.keys(data), given);
  for (const [name, shape] of Object.entries(given)) {
    const own = data[name]!;
    const actual = 'shape' in own ? own.shape : own;
    if (String(shape) !== String(actual))
      throw new ArgumentError(`--input-shape ${name}`, `${actual.join('x')}, which ${who}`, shape.join('x'));
  }
}

/** Reads a prototxt and filters it for a state. */
export function readFilteredNet(file: string, flags: StateFlags = {}): NetParameter {
  return filterNet(readNetFile(file), netState(flags));
}
