/** `resnode plot` */

import { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { chartsSvg } from '../pages/chart-svg.ts';
import { logCharts, logNames, logsPage } from '../train/logs/plot-logs.ts';
import { readLines, readTrainingLog } from '../train/logs/read-training-log.ts';
import { own } from './flag.ts';
import { STDIN } from './image-files.ts';

interface Flags {
  out: string;
  title?: string;
  json?: boolean;
}

export function plot(): Command {
  return new Command()
    .argument('<log...>', 'logs of `resnode train --log` or `caffe train` (2>); - reads standard input')
    .addOption(own('outPlot', 'training.html'))
    .addOption(own('title'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
--json also prints the curves: file, loss, rate, outputs (values by iteration).

Examples:
  resnode plot log.jsonl
  resnode plot first.log second.log --out both.html
  caffe train --solver solver.prototxt 2>&1 | tee caffe.log | resnode plot - --out caffe.svg`,
    )
    .action(async (files: string[], flags: Flags) => {
      const { out, json } = flags;
      if (!/\.(html?|svg)$/i.test(out))
        throw new ArgumentError('--out', 'a name that ends in .html or .svg', out);
      const logs = [];
      for (const file of files)
        logs.push(await (file === STDIN ? readLines(STDIN, process.stdin) : readTrainingLog(file)));
      const charts = logCharts(logs);
      const title = flags.title ?? logNames(logs).join(', ');
      writeFileAtomically(out, [/svg$/i.test(out) ? chartsSvg(charts, title) : logsPage(charts, title)]);
      if (json) console.log(JSON.stringify({ out, logs }));
      else console.log(`${out}: ${charts.map((chart) => chart.title).join('; ')}`);
    });
}
