/** The commands as one program, and what becomes of an error. */
import { createRequire } from 'node:module';
import { Command, CommanderError, type Option } from 'commander';
import { ArgumentError, ResnodeError } from '../base/errors.ts';
import { COMMANDS } from './commands.ts';
import { refuseOldNames, withNewName } from './renamed.ts';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

// Caffe's tool takes gflags, which may begin with one dash: -model=net.prototxt.
/** The words of a command line as commander takes them. */
export const wordsOf = (words: readonly string[]): string[] =>
  words.map((word) => word.replace(/^-(?=[a-z][a-z_-]+(=|$))/, '--'));

/** The program for a command line: its command alone is loaded, the others are what --help says of them. */
export function programFor(words: readonly string[]): Promise<Command> {
  const named = words[0] === 'help' ? words[1] : words[0];
  return assemble((name, alias) => named === name || named === alias);
}

/** The program with every command loaded. */
export const wholeProgram = (): Promise<Command> => assemble(() => true);

async function assemble(isLoaded: (name: string, alias?: string) => boolean): Promise<Command> {
  const program = new Command('resnode')
    .version(version)
    .description("Deep residual networks from Caffe's files")
    .usage('COMMAND [options]')
    .addHelpText('after', '\n`resnode COMMAND --help` has its options and an example.');
  for (const [name, { group, summary, alias, load }] of Object.entries(COMMANDS)) {
    const command = isLoaded(name, alias) ? await prepared(await load()) : new Command();
    command.name(name).description(summary).helpGroup(group);
    if (alias !== undefined) command.alias(alias);
    program.addCommand(command);
  }
  const subcommands = program.commands.flatMap((command) => command.commands);
  for (const command of [program, ...program.commands, ...subcommands])
    command
      .exitOverride()
      // A flag's sentence says its default.
      .configureHelp({ optionDescription: (option: Option) => option.description })
      .configureOutput({
        outputError: (text, write) =>
          write(withNewName(command.name(), text).replace(/^error: /, 'resnode: ')),
      });
  return program;
}

async function prepared(make: (whole: typeof wholeProgram) => Command): Promise<Command> {
  const { takeModelFolder } = await import('./model-folder.ts');
  const command = make(wholeProgram);
  takeModelFolder(command);
  const { takeLayers } = await import('./own-layers.ts');
  for (const each of [command, ...command.commands]) takeLayers(each);
  return command;
}

/** @throws CommanderError for misuse that commander has printed; what the command throws */
export async function runProgram(words: readonly string[]): Promise<void> {
  refuseOldNames(words);
  const program = await programFor(words);
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    const { inOwnWords } = await import('./own-words.ts');
    throw inOwnWords(error, commandOf(program, words));
  }
}

/** The innermost command that the first words name. */
function commandOf(command: Command, [word, ...words]: readonly string[]): Command {
  const named = command.commands.find((each) => each.name() === word || each.aliases().includes(word ?? ''));
  return named === undefined ? command : commandOf(named, words);
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
