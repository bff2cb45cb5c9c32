/** The commands as one program. */
import { Command, CommanderError, type Option } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { ownPackage } from '../base/own-package.ts';
import { launched } from '../device/launcher.ts';
import { COMMANDS } from './commands.ts';
import { misuseText } from './misuse.ts';
import { refuseOldNames } from './renamed.ts';

// Caffe's tools use gflags, which accept a single dash: -model=net.prototxt.
/** Converts the words of a command line to commander's form. */
export const wordsOf = (words: readonly string[]): string[] =>
  words.map((word) => word.replace(/^-(?=[a-z][a-z_-]+(=|$))/, '--'));

/** The program for a command line: it loads only the command that runs and knows the others by their descriptions. */
function programFor(words: readonly string[]): Promise<Command> {
  const named = words[0] === 'help' ? words[1] : words[0];
  return assemble((name, alias) => named === name || named === alias, words);
}

/** The program with every command loaded. */
export const wholeProgram = (): Promise<Command> => assemble(() => true);

async function assemble(
  isLoaded: (name: string, alias?: string) => boolean,
  words: readonly string[] = [],
): Promise<Command> {
  const program = new Command('resnode')
    .version(ownPackage().version)
    .description('Run and train deep residual networks from Caffe files.')
    .usage('COMMAND [options]')
    .addHelpText('after', '\n`resnode COMMAND --help` lists the options of a command and shows an example.');
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
      // The help text of a flag already contains its default.
      .configureHelp({ optionDescription: (option: Option) => option.description })
      .configureOutput({
        outputError: (text, write) =>
          write(misuseText(command, text, words).replace(/^error: /, 'resnode: ')),
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

/**
 * @throws CommanderError for misuse that commander has printed; ArgumentError for a command of one process if mpirun started
 * several; the errors of the command
 */
export async function runProgram(words: readonly string[]): Promise<void> {
  refuseOldNames(words);
  refuseProcesses(words);
  const program = await programFor(words);
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    // Messages of commander, including --version and --help, stay unchanged.
    if (error instanceof CommanderError) throw error;
    const { inOwnWords } = await import('./own-words.ts');
    throw inOwnWords(error, commandOf(program, words));
  }
}

// Several processes would print and write the same results over each other.
function refuseProcesses(words: readonly string[]): void {
  const launcher = launched();
  const [name] = words;
  const entry = Object.entries(COMMANDS).find(([each, { alias }]) => each === name || alias === name)?.[1];
  if (launcher === null || entry === undefined || entry.processes !== undefined) return;
  if (words.some((word) => word === '--help' || word === '-h')) return;
  // The first process prints the message.
  if (launcher.rank > 0) throw new CommanderError(2, 'resnode.processes', '');
  const sharing = Object.entries(COMMANDS).flatMap(([each, { processes }]) =>
    processes === 'share' ? [each] : [],
  );
  throw new ArgumentError(
    `resnode ${name}`,
    'one process',
    `${launcher.size} of mpirun`,
    `start it without mpirun; ${sharing.join(', ')} share their work`,
  );
}

/** The innermost command that the first words name. */
function commandOf(command: Command, [word, ...words]: readonly string[]): Command {
  const named = command.commands.find((each) => each.name() === word || each.aliases().includes(word ?? ''));
  return named === undefined ? command : commandOf(named, words);
}
