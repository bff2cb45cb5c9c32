/** `resnode bench` and `resnode bench compare`: compares resnode with other frameworks on this machine. */

import { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { usableProcessors } from '../base/processors.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { readJsonFile } from '../caffe/json.ts';
import { type DeviceKind, openDevice } from '../device/device.ts';
// Registers the rows of device.load, which name flags below.
import '../device/nets.ts';
import { benchDevice } from '../tools/bench/bench-device.ts';
import { compareReports } from '../tools/bench/compare.ts';
import { devicePage } from '../tools/bench/device-page.ts';
import { type DeviceReport, deviceTable } from '../tools/bench/device-report.ts';
import type { CpuPrecision } from '../tools/bench/engines.ts';
import { benchNetNames } from '../tools/bench/nets.ts';
import { benchPage } from '../tools/bench/page.ts';
import { readReport } from '../tools/bench/read-report.ts';
import { type CaffeFigures, table } from '../tools/bench/report.ts';
import { runBench } from '../tools/bench/run-bench.ts';
import { flag, own } from './flag.ts';
import { noCudnn } from './options.ts';

interface Flags {
  device: DeviceKind;
  precision?: CpuPrecision | 'tf32' | 'float16';
  cudnn: boolean;
  nets: string[];
  batches: number[];
  threads: number;
  rounds: number;
  train?: boolean;
  busy?: boolean;
  operations?: boolean;
  python?: string;
  caffe?: string;
  caffeFigures?: string;
  out?: string;
  json?: boolean;
  html?: string;
}

export function bench(): Command {
  const command = new Command()
    .addOption(own('nets', ['ResNet-50']))
    .addOption(own('benchBatches', [1, 8]))
    .addOption(own('trainingStep'))
    .addOption(flag('openDevice', 'kind', '--device <kind>', 'cpu'))
    .addOption(own('precision'))
    .addOption(noCudnn())
    .addOption(own('benchThreads', usableProcessors()))
    .addOption(own('rounds', 5))
    .addOption(own('busy'))
    .addOption(own('operations'))
    .addOption(own('python'))
    .addOption(own('caffe'))
    .addOption(own('caffeFigures'))
    .addOption(own('outReport'))
    .addOption(own('json'))
    .addOption(own('htmlFile'))
    .addHelpText(
      'after',
      `
Nets: ${benchNetNames.join(', ')}.
With --device cuda, nets run fused and layer by layer, in float16 unless --precision is given, beside torch and Caffe if --python and
--caffe name them. On the CPU, --precision bfloat16 also measures resnode in bfloat16, and --precision int8 also resnode and
onnxruntime-node in int8; --python then names a Python with onnxruntime and onnx, which quantize the net.

Examples:
  resnode bench --nets ResNet-50 --batches 1,8 --threads 2 --out now.json --html now.html
  resnode bench --train --nets CIFAR-20 --batches 128 --python venv/bin/python
  resnode bench --python venv/bin/python --caffe caffe/build/tools/caffe
  resnode bench --device cuda --operations --batches 32 --out gpu.json
  resnode bench compare before.json now.json`,
    )
    .action(async (flags: Flags) => {
      if (flags.device !== 'cpu') return benchOnDevice(command, flags);
      const { precision = 'float32' } = flags;
      if (precision === 'tf32' || precision === 'float16')
        return command.error(
          `error: the CPU is measured in float32, bfloat16 and int8; ${precision} needs --device cuda`,
          { exitCode: 2 },
        );
      if (precision !== 'float32' && flags.train)
        command.error(
          `error: the CPU trains only in float32; ${precision === 'int8' ? 'int8 is for forward runs' : 'bfloat16 needs --device cuda'}`,
          { exitCode: 2 },
        );
      const report = await runBench({
        nets: flags.nets,
        batches: flags.batches,
        task: flags.train ? 'training' : 'forward',
        precision,
        threads: flags.threads,
        rounds: flags.rounds,
        busy: flags.busy ?? false,
        operations: flags.operations ?? false,
        python: flags.python ?? null,
        caffe: flags.caffe ?? null,
        caffeFigures: flags.caffeFigures === undefined ? [] : readCaffeFigures(flags.caffeFigures),
        onProgress: (text) => console.error(text),
      });
      if (flags.out !== undefined) writeFileAtomically(flags.out, [`${JSON.stringify(report, null, 1)}\n`]);
      if (flags.html !== undefined) writeFileAtomically(flags.html, [benchPage(report)]);
      console.log(flags.json ? JSON.stringify(report) : table(report));
    });
  return command.addCommand(compareCommand());
}

// Compares with torch's default settings and with Caffe. bench/gpu.ts of a checkout also measures compiled torch, timm and
// JAX.
async function benchOnDevice(command: Command, flags: Flags): Promise<void> {
  const without = { '--busy': flags.busy };
  for (const [flag, value] of Object.entries({ ...without, '--caffe-figures': flags.caffeFigures }))
    if (value !== undefined)
      command.error(
        `error: ${flag} is for the CPU; with --device ${flags.device} resnode is measured alone, or beside the torch of --python and the Caffe of --caffe`,
        { exitCode: 2 },
      );
  if (flags.precision === 'int8')
    command.error('error: int8 is measured on the CPU (--device cpu)', { exitCode: 2 });
  await using device = await openDevice(flags.device, { cudnn: flags.cudnn });
  // An interrupted benchmark keeps the results measured so far.
  const write = (report: DeviceReport) => {
    if (flags.out !== undefined) writeFileAtomically(flags.out, [`${JSON.stringify(report, null, 1)}\n`]);
  };
  const report = await benchDevice(device, {
    nets: flags.nets,
    batches: flags.batches,
    task: flags.train ? 'training' : 'forward',
    precision: flags.precision ?? (device.kind === 'cuda' ? 'float16' : 'float32'),
    operations: flags.operations ?? false,
    runs: 4 * flags.rounds,
    caffe: flags.caffe ?? null,
    python: flags.python ?? null,
    torchDevice: flags.device === 'cuda' ? 'cuda:0' : flags.device,
    onProgress: (text) => console.error(text),
    onMeasured: write,
  });
  write(report);
  if (flags.html !== undefined) writeFileAtomically(flags.html, [devicePage(report)]);
  console.log(flags.json ? JSON.stringify(report) : deviceTable(report));
}

function compareCommand(): Command {
  return new Command('compare')
    .description('list what is faster or slower in a second report, beyond the noise of both')
    .argument('<before>', 'a report of `resnode bench --out`, of bench/gpu.ts or of gpu-check')
    .argument('<after>', 'another')
    .addOption(own('json'))
    .action((before: string, after: string, { json }: { json?: boolean }) => {
      const result = compareReports(readReport(before), readReport(after));
      if (json) return console.log(JSON.stringify(result));
      for (const warning of result.warnings) console.log(`warning: ${warning}`);
      for (const { name, before: old, after: now, ratio, noise, verdict } of result.comparisons)
        console.log(
          `${old.toFixed(3).padStart(10)} → ${now.toFixed(3).padStart(10)} ms  ×${ratio.toFixed(3)} (noise ±${(100 * noise).toFixed(1)}%)  ${verdict.padEnd(18)} ${name}`,
        );
    });
}

const FORWARD = { task: 'forward' } as const;

function readCaffeFigures(file: string): CaffeFigures[] {
  const expected =
    'JSON: [{ "task": "forward" (or "training"), "net", "batch", "recordedOn": "the machine", "time": what `parseCaffeTime` returns }, …]';
  const read = readJsonFile(
    file,
    'json',
    (found) => new ArgumentError('--caffe-figures', expected, file, found),
  );
  const figures = Array.isArray(read) ? read.map((each: CaffeFigures) => ({ ...FORWARD, ...each })) : null;
  const isGood = ({ task, net, batch, time, recordedOn }: CaffeFigures) =>
    ['forward', 'training'].includes(task) &&
    typeof net === 'string' &&
    Number.isInteger(batch) &&
    typeof recordedOn === 'string' &&
    Number.isFinite(time?.averageForward) &&
    Number.isFinite(time.averageBackward);
  if (figures?.every(isGood)) return figures;
  throw new ArgumentError('--caffe-figures', expected, file);
}
