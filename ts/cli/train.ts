/** `resnode train`: Caffe's `caffe train`. */
import { createWriteStream, openSync, type WriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { Command } from 'commander';
import { writeFailure } from '../base/files.ts';
import { checkNewFolder } from '../caffe/model-folder.ts';
import { readSolverFile } from '../caffe/solver-parameter.ts';
import type { DoneEvent, SolverEvent } from '../train/events.ts';
import { caffeLogHead, caffeLogLines } from '../train/logs/caffe-log.ts';
import { openReport } from '../train/report/report.ts';
import { Solver, type SolverRequest } from '../train/solver.ts';
import { solverData } from '../train/solver-data.ts';
import { splitList } from '../train/solver-nets.ts';
import { flag, needed, own } from './flag.ts';
import type { Gpus } from './flag-kinds.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type TrainingPrecisionFlags,
  trainingPrecisionOf,
  trainingPrecisionOptions,
} from './options.ts';
import { enterProcesses, isShared, leaveProcesses, type ProcessFlags, processOptions } from './processes.ts';
import { checkOutFlags, plannedModel, writeTrainedModel } from './trained-model.ts';
import { openTrainingDevice, processesOf } from './training-device.ts';
import { eventJson, eventLines, progressLine } from './training-log.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

type Effect = SolverRequest | 'none';

interface Flags extends DeviceFlags, WeightsFlags, TrainingPrecisionFlags, ProcessFlags {
  solver: string;
  gpu?: Gpus;
  weights?: string;
  snapshot?: string;
  recompute?: boolean;
  frozenBn?: boolean;
  syncBn?: boolean;
  warmupIterations?: number;
  warmupRate?: number;
  cosine?: boolean;
  augment?: string;
  level?: number;
  stage?: string[];
  sigint_effect: Effect;
  sigterm_effect: Effect;
  sighup_effect: Effect;
  log?: string;
  logFormat?: 'json' | 'caffe';
  report?: string;
  out?: string;
  labels?: string;
  overwrite?: boolean;
  json?: boolean;
}

export function train(): Command {
  const command = new Command()
    .addOption(needed(own('solver')))
    .addOption(flag('Solver', 'weights', '--weights <files>'))
    .addOption(flag('Solver', 'snapshot', '--snapshot <solverstate>'))
    .addOption(own('trainingGpus'))
    .addOption(flag('Solver', 'recompute', '--recompute'))
    .addOption(flag('Solver', 'frozenBatchNorm', '--frozen-bn'))
    .addOption(flag('Solver', 'synchronisedBatchNorm', '--sync-bn'))
    .addOption(flag('Solver', 'warmup.iterations', '--warmup-iterations <n>'))
    .addOption(flag('Solver', 'warmup.rate', '--warmup-rate <rate>'))
    .addOption(flag('Solver', 'cosine', '--cosine'))
    .addOption(flag('solverData', 'augment', '--augment <json>'))
    .addOption(flag('Solver', 'level', '--level <n>'))
    .addOption(flag('Solver', 'stages', '--stage <names>'))
    .addOption(own('sigint', 'stop'))
    .addOption(own('sigterm', 'stop'))
    .addOption(own('sighup', 'snapshot'))
    .addOption(own('outTrained'))
    .addOption(own('labelsToKeep'))
    .addOption(own('overwrite'))
    .addOption(own('report'))
    .addOption(own('log'))
    .addOption(own('logFormat'))
    .addOption(own('jsonEvents'))
    .addHelpText(
      'after',
      `
Without --device and --gpu, the solver's solver_mode and device_id choose the device, or --device auto if it has neither.
The exit status is 0 if training finished, or a signal stopped it with a snapshot, and 1 if it diverged or failed. A second signal
ends it at once. With several processes, any of them may get the signal; all stop or write a snapshot together.

Examples:
  resnode train --solver solver.prototxt --log log.jsonl --report report.html
  resnode train --solver solver.prototxt --weights ResNet-50-model.caffemodel --device cpu --threads 2
  resnode train --solver solver.prototxt --snapshot resnet_iter_5000.solverstate
  resnode train --solver solver.prototxt --out trained --labels names.txt
  resnode train --solver solver.prototxt --gpu 0 --precision float16
  mpirun -n 2 resnode train --solver solver.prototxt --threads 1
  mpirun -n 2 resnode train --solver solver.prototxt --gpu 0,1
  resnode train --solver cifar110.prototxt --warmup-iterations 400 --warmup-rate 0.01 --augment augment.json`,
    );
  return trainingPrecisionOptions(deviceOptions(weightsOptions(processOptions(command)))).action(
    async (flags: Flags) => {
      const fail = (text: string) => command.error(`error: ${text}`, { exitCode: 2 });
      if (flags.weights !== undefined && flags.snapshot !== undefined)
        fail('expected --weights to start from or --snapshot to resume from, not both');
      if (flags.warmupRate !== undefined && flags.warmupIterations === undefined)
        fail('--warmup-rate needs --warmup-iterations');
      if (flags.logFormat !== undefined && flags.log === undefined) fail('--log-format needs --log');
      if (flags.syncBn && !isShared(flags)) fail('--sync-bn needs --mpi');
      const processes = processesOf(flags.gpu);
      if (processes > 1 && !isShared(flags))
        fail(
          `--gpu ${flags.gpu} needs one process per GPU: mpirun -n ${processes} resnode train … (on the CPU: --device cpu instead of --gpu)`,
        );
      checkOutFlags(flags);
      if (flags.out !== undefined) checkNewFolder(flags.out, flags.overwrite, '--out');
      const parameter = readSolverFile(flags.solver);
      const { out, labels, augment } = flags;
      const model = out === undefined ? null : { out, solver: parameter, augment, labels };
      const planned = model === null ? null : await plannedModel(model);
      const isDeviceGiven = command.getOptionValueSource('device') !== 'default';
      const communicator = await enterProcesses(flags);
      const isFirst = (communicator?.rank ?? 0) === 0;
      const device = await openTrainingDevice(parameter, flags, isDeviceGiven, communicator);
      if (communicator !== null && device.kind === 'cuda')
        console.error(
          `resnode: process ${communicator.rank} of ${communicator.size} computes on ${device.name} (${device.reason})`,
        );
      const solver = new Solver({
        solver: parameter,
        device,
        data: solverData(flags.solver, flags.augment),
        ...trainingPrecisionOf(flags),
        ...matchOf(flags),
        recompute: flags.recompute ?? false,
        frozenBatchNorm: flags.frozenBn ?? false,
        synchronisedBatchNorm: flags.syncBn ?? false,
        cosine: flags.cosine ?? false,
        // A report ends with a test of the trained net.
        finalTest: flags.report !== undefined,
        ...(flags.weights === undefined ? {} : { weights: splitList(flags.weights) }),
        ...(flags.snapshot === undefined ? {} : { snapshot: flags.snapshot }),
        ...(flags.level === undefined ? {} : { level: flags.level }),
        ...(flags.stage === undefined ? {} : { stages: flags.stage }),
        ...(flags.warmupIterations === undefined
          ? {}
          : {
              warmup: {
                iterations: flags.warmupIterations,
                rate: flags.warmupRate ?? (parameter.base_lr ?? 0) / 10,
              },
            }),
      });
      using _ = handleSignals(solver, {
        SIGINT: flags.sigint_effect,
        SIGTERM: flags.sigterm_effect,
        SIGHUP: flags.sighup_effect,
      });
      // A resumed run appends to its log.
      const log =
        flags.log === undefined || !isFirst
          ? null
          : openLog(flags.log, flags.snapshot === undefined ? 'w' : 'a');
      const report = flags.report === undefined || !isFirst ? null : openReport(flags.report);
      const logged =
        flags.logFormat === 'caffe' ? caffeLogLines : (event: SolverEvent) => `${eventJson(event)}\n`;
      if (flags.logFormat === 'caffe') log?.write(caffeLogHead());
      let done: DoneEvent | null = null as DoneEvent | null;
      const print = isFirst ? printer(flags.json === true) : () => {};
      try {
        for await (const event of solver.run()) {
          log?.write(logged(event));
          report?.add(event);
          if (event.type === 'done') done = event;
          print(event);
          if (event.type === 'diverged') {
            console.error(`resnode: ${event.message}`);
            process.exitCode = 1;
          }
        }
      } finally {
        await report?.close();
      }
      const written = report === null ? [] : [flags.report!];
      if (model !== null && isFirst && done !== null && done.reason !== 'diverged')
        written.push(...(await writeTrainedModel(model, planned!, done)));
      if (!flags.json) for (const file of written) console.log(`wrote ${file}`);
      if (log !== null) await finished(log.end()).catch(() => {}); // reported when it happened
      device.dispose();
      if (communicator !== null) await leaveProcesses(communicator);
    },
  );
}

/** Refuses a log before the training if it cannot be opened; a log that fails later must not end the training. */
function openLog(path: string, flags: 'w' | 'a'): WriteStream {
  let fd: number;
  try {
    fd = openSync(path, flags);
  } catch (error) {
    throw writeFailure(path, error);
  }
  return createWriteStream(path, { fd }).on('error', (error) => {
    console.error(
      `resnode: ${(writeFailure(path, error) as Error).message}; training continues without its log`,
    );
  });
}

/**
 * Signals request the same actions of the solver as in Caffe. After a request to stop, the next signal that would stop ends
 * the process.
 */
function handleSignals(
  solver: Solver,
  effects: Readonly<Partial<Record<NodeJS.Signals, Effect>>>,
): Disposable {
  const listeners: [NodeJS.Signals, () => void][] = [];
  const remove = (effect?: Effect) => {
    for (const [signal, listener] of listeners)
      if (effect === undefined || effects[signal] === effect) process.removeListener(signal, listener);
  };
  for (const [signal, effect] of Object.entries(effects) as [NodeJS.Signals, Effect][]) {
    const listener = () => {
      if (effect === 'none') return;
      solver.request(effect);
      if (effect === 'stop') remove(effect);
    };
    process.on(signal, listener);
    listeners.push([signal, listener]);
  }
  return { [Symbol.dispose]: () => remove() };
}

// On a terminal, iterations that are not displayed update one line on stderr, at most five times per second.
function printer(isJson: boolean): (event: SolverEvent) => void {
  let shown = 0;
  let isOpen = false;
  return (event) => {
    if (event.type === 'iteration' && !event.display) {
      if (isJson || !process.stderr.isTTY || performance.now() - shown < 200) return;
      shown = performance.now();
      isOpen = true;
      process.stderr.write(`\r\x1b[K${progressLine(event)}`);
      return;
    }
    if (isOpen) process.stderr.write('\r\x1b[K');
    isOpen = false;
    if (isJson) console.log(eventJson(event));
    else for (const line of eventLines(event)) (event.type === 'warning' ? console.error : console.log)(line);
  };
}
