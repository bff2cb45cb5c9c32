#!/usr/bin/env node
/** The command line: thin over the library, one file a command. Exit status 2 for misuse, 1 for failure. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { ArgumentError, ResnodeError } from '../errors.ts';
import { bench } from './bench.ts';
import { bnStats } from './bn-stats.ts';
import { cam } from './cam.ts';
import { classify } from './classify.ts';
import { convert } from './convert.ts';
import { deviceQuery } from './device-query.ts';
import { doctor } from './doctor.ts';
import { evaluate } from './evaluate.ts';
import { features } from './features.ts';
import { lint } from './lint.ts';
import { parity } from './parity.ts';
import { plan } from './plan.ts';
import { print } from './print.ts';
import { run } from './run.ts';
import { summary } from './summary.ts';
import { test } from './test.ts';
import { time } from './time.ts';
import { train } from './train.ts';
import { view } from './view.ts';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
const program = new Command('resnode')
  .version(version)
  .description("Deep residual networks from Caffe's files")
  .configureHelp({ sortSubcommands: true });
const commands = [
  classify,
  convert,
  run,
  parity,
  summary,
  time,
  plan,
  lint,
  print,
  view,
  features,
  evaluate,
  cam,
  doctor,
  deviceQuery,
  train,
  test,
  bnStats,
  bench,
];
for (const command of commands) program.addCommand(command());
for (const command of [program, ...program.commands])
  command.exitOverride().configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, 'resnode: ')),
  });

// A reader that has seen enough (`resnode print … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

// Caffe's tool takes gflags, which may begin with one dash: -model=net.prototxt.
const args = process.argv.slice(2).map((arg) => arg.replace(/^-(?=[a-z][a-z_-]+(=|$))/, '--'));
try {
  await program.parseAsync(args, { from: 'user' });
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    const known = error instanceof ResnodeError || (error as NodeJS.ErrnoException).code !== undefined;
    console.error(`resnode: ${known ? (error as Error).message : (error as Error).stack}`);
    process.exitCode = error instanceof ArgumentError ? 2 : 1;
  }
}
