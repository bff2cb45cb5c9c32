/** The commands as one program, and what becomes of an error. */
import { createRequire } from 'node:module';
import { Command, CommanderError, type Option } from 'commander';
import { ArgumentError, ResnodeError } from '../base/errors.ts';
import { takeModelFolder } from './model-folder.ts';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
/** Each is loaded when it is run, or when all are to be listed: the whole library takes longer to load than most take to run. */
export const COMMANDS: Readonly<Record<string, () => Promise<() => Command>>> = {
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
/** The words of a command line as commander takes them. */
export const wordsOf = (words: readonly string[]): string[] =>
  words.map((word) => word.replace(/^-(?=[a-z][a-z_-]+(=|$))/, '--'));

/** @param first The first word: where it is a command, that one alone is loaded. */
export async function programFor(first: string | undefined): Promise<Command> {
  const program = new Command('resnode')
    .version(version)
    .description("Deep residual networks from Caffe's files")
    .configureHelp({ sortSubcommands: true });
  const named = first !== undefined && Object.hasOwn(COMMANDS, first) ? [first] : Object.keys(COMMANDS);
  for (const load of named.map((name) => COMMANDS[name]!)) program.addCommand((await load())());
  for (const command of program.commands) takeModelFolder(command);
  const subcommands = program.commands.flatMap((command) => command.commands);
  for (const command of [program, ...program.commands, ...subcommands])
    command
      .exitOverride()
      // A flag's sentence says its default.
      .configureHelp({ optionDescription: (option: Option) => option.description })
      .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'resnode: ')) });
  return program;
}

/** What a failure is said in, null where commander has said it, and the exit status: 2 for misuse, 1 for failure. */
export function failureOf(error: unknown): { readonly text: string | null; readonly status: number } {
  if (error instanceof CommanderError) return { text: null, status: error.exitCode === 0 ? 0 : 2 };
  const known = error instanceof ResnodeError || (error as NodeJS.ErrnoException).code !== undefined;
  return {
    text: `resnode: ${known ? (error as Error).message : (error as Error).stack}`,
    status: error instanceof ArgumentError ? 2 : 1,
  };
}
