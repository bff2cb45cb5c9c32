#!/usr/bin/env node
/** The command line: thin over the library, one file a command. Exit status 2 for misuse, 1 for failure. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { printWarningsPlainly } from '../base/warn.ts';
import { ArgumentError, ResnodeError } from '../errors.ts';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
/** Each is loaded when it is run, or when all are to be listed: the whole library takes longer to load than most take to run. */
const COMMANDS: Readonly<Record<string, () => Promise<() => Command>>> = {
  bench: async () => (await import('./bench.ts')).bench,
  'bn-stats': async () => (await import('./bn-stats.ts')).bnStats,
  cam: async () => (await import('./cam.ts')).cam,
  classify: async () => (await import('./classify.ts')).classify,
  convert: async () => (await import('./convert.ts')).convert,
  dataset: async () => (await import('./dataset.ts')).dataset,
  'device-query': async () => (await import('./device-query.ts')).deviceQuery,
  doctor: async () => (await import('./doctor.ts')).doctor,
  evaluate: async () => (await import('./evaluate.ts')).evaluate,
  features: async () => (await import('./features.ts')).features,
  finetune: async () => (await import('./finetune.ts')).finetune,
  generate: async () => (await import('./generate.ts')).generate,
  lint: async () => (await import('./lint.ts')).lint,
  parity: async () => (await import('./parity.ts')).parity,
  plan: async () => (await import('./plan.ts')).plan,
  print: async () => (await import('./print.ts')).print,
  quantize: async () => (await import('./quantize.ts')).quantize,
  run: async () => (await import('./run.ts')).run,
  summary: async () => (await import('./summary.ts')).summary,
  test: async () => (await import('./test.ts')).test,
  time: async () => (await import('./time.ts')).time,
  train: async () => (await import('./train.ts')).train,
  view: async () => (await import('./view.ts')).view,
};

// Caffe's tool takes gflags, which may begin with one dash: -model=net.prototxt.
const args = process.argv.slice(2).map((arg) => arg.replace(/^-(?=[a-z][a-z_-]+(=|$))/, '--'));
const program = new Command('resnode')
  .version(version)
  .description("Deep residual networks from Caffe's files")
  .configureHelp({ sortSubcommands: true });
const named = args[0] !== undefined && Object.hasOwn(COMMANDS, args[0]) ? [args[0]] : Object.keys(COMMANDS);
for (const load of named.map((name) => COMMANDS[name]!)) program.addCommand((await load())());
const subcommands = program.commands.flatMap((command) => command.commands);
for (const command of [program, ...program.commands, ...subcommands])
  command.exitOverride().configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, 'resnode: ')),
  });

printWarningsPlainly();
// A reader that has seen enough (`resnode print … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

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
