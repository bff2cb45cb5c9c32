/** `resnode bench` and `resnode bench compare`: measuring against peers on this machine. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { compareReports } from '../bench/compare.ts';
import { benchNetNames } from '../bench/nets.ts';
import { benchPage } from '../bench/page.ts';
import { readReport } from '../bench/read-report.ts';
import { type CaffeFigures, table } from '../bench/report.ts';
import { runBench } from '../bench/run-bench.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { ArgumentError } from '../errors.ts';
import { integer, names } from './options.ts';

interface Flags {
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
  json?: string;
  html?: string;
}

const counts = (text: string) => names(text).map(integer(1));

export function bench(): Command {
  const command = new Command('bench')
    .description(
      'measure nets on this machine beside onnxruntime-node, torch and Caffe, where they are there',
    )
    .option('--nets <names>', `out of ${benchNetNames.join(', ')}`, names, ['ResNet-50'])
    .option('--batches <list>', 'batch sizes, by commas', counts, [1, 8])
    .option('--train', 'a training step instead of a run forward: forward, loss, backward, SGD with momentum')
    .option('--threads <n>', 'threads of every engine', integer(1), availableParallelism())
    .option('--rounds <n>', 'how often the engines take turns', integer(1), 5)
    .option('--busy', 'also with one core kept busy by another process')
    .option('--operations', 'also every different operation by itself')
    .option('--python <path>', 'a Python that has torch')
    .option('--caffe <path>', "a Caffe build's tool")
    .option('--caffe-figures <file>', 'JSON of figures that a Caffe gave before, shown as recorded')
    .option('--json <file>', 'write the report here (schema resnode-bench/3)')
    .option('--html <file>', 'write it as a page with plots here')
    .addHelpText(
      'after',
      `
Examples:
  resnode bench --nets ResNet-50 --batches 1,8 --threads 2 --json now.json --html now.html
  resnode bench --train --nets CIFAR-20 --batches 128 --python venv/bin/python
  resnode bench --python venv/bin/python --caffe caffe/build/tools/caffe
  resnode bench compare before.json now.json`,
    )
    .action(async (flags: Flags) => {
      const report = await runBench({
        nets: flags.nets,
        batches: flags.batches,
        task: flags.train ? 'training' : 'forward',
        threads: flags.threads,
        rounds: flags.rounds,
        busy: flags.busy ?? false,
        operations: flags.operations ?? false,
        python: flags.python ?? null,
        caffe: flags.caffe ?? null,
        caffeFigures: flags.caffeFigures === undefined ? [] : readCaffeFigures(flags.caffeFigures),
        onProgress: (text) => console.error(text),
      });
      if (flags.json !== undefined) writeFileAtomically(flags.json, [`${JSON.stringify(report, null, 1)}\n`]);
      if (flags.html !== undefined) writeFileAtomically(flags.html, [await benchPage(report)]);
      console.log(table(report));
    });
  return command.addCommand(compareCommand());
}

function compareCommand(): Command {
  return new Command('compare')
    .description('say what is faster or slower in a second report, beyond the noise of both')
    .argument('<before>', 'a report of `resnode bench --json`')
    .argument('<after>', 'another')
    .option('--print-json', 'print JSON')
    .action((before: string, after: string, { printJson }: { printJson?: boolean }) => {
      const result = compareReports(readReport(before), readReport(after));
      if (printJson) return console.log(JSON.stringify(result));
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
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as CaffeFigures[];
    const figures = Array.isArray(read) ? read.map((each) => ({ ...FORWARD, ...each })) : null;
    const isGood = ({ task, net, batch, time, recordedOn }: CaffeFigures) =>
      ['forward', 'training'].includes(task) &&
      typeof net === 'string' &&
      Number.isInteger(batch) &&
      typeof recordedOn === 'string' &&
      Number.isFinite(time?.averageForward) &&
      Number.isFinite(time.averageBackward);
    if (figures?.every(isGood)) return figures;
  } catch (error) {
    throw new ArgumentError('--caffe-figures', expected, `${file}: ${(error as Error).message}`);
  }
  throw new ArgumentError('--caffe-figures', expected, file);
}
