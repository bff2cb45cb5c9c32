/** `resnode completion` prints completion scripts for shells, generated from the tables of commands and flags. */
import { Argument, Command, type Option } from 'commander';
import { quoted } from '../base/shell-words.ts';
import { Flag } from './flag.ts';

/** The words of a command or subcommand, such as `dataset idx`. */
interface Words {
  readonly name: string;
  readonly description: string;
  readonly flags: readonly Option[];
  readonly subcommands: readonly string[];
}

const SHELLS = { bash, zsh, fish } as const;

/** @param whole Creates the program with every command. */
export function completion(whole: () => Promise<Command>): Command {
  return new Command()
    .addArgument(new Argument('<shell>', 'whose script').choices(Object.keys(SHELLS)))
    .addHelpText(
      'after',
      `
Examples:
  source <(resnode completion bash)                 in ~/.bashrc
  resnode completion zsh > "\${fpath[1]}/_resnode"
  resnode completion fish > ~/.config/fish/completions/resnode.fish`,
    )
    .action(async (shell: keyof typeof SHELLS) => {
      const { commands } = await whole();
      process.stdout.write(SHELLS[shell](commands.flatMap((command) => wordsOf(command))));
    });
}

function wordsOf(command: Command, before = ''): Words[] {
  const name = `${before}${command.name()}`;
  const own = {
    name,
    description: command.description(),
    flags: command.options,
    subcommands: command.commands.map((each) => each.name()),
  };
  return [own, ...command.commands.flatMap((each) => wordsOf(each, `${name} `))];
}

const isTop = ({ name }: Words) => !name.includes(' ');

/** The values of a flag if they can be listed. */
const choicesOf = (flag: Option): readonly string[] =>
  (flag instanceof Flag ? flag.row.kind.written?.choices : undefined) ?? [];

const takesValue = ({ required, optional }: Option) => required || optional;

/** The first sentence of the text in --help. */
const briefly = (text: string) => (/^.*?\.(?= |$)/.exec(text)?.[0] ?? text).replace(/\.$/, '');

function bash(commands: readonly Words[]): string {
  const cases = commands.flatMap(({ name, flags }) =>
    flags.flatMap((flag) => {
      const choices = choicesOf(flag);
      return choices.length === 0
        ? []
        : [`    ${quoted(`${name} ${flag.long}`)}) words=${quoted(choices.join(' '))} ;;`];
    }),
  );
  const flags = commands.map(
    ({ name, flags: own }) =>
      `    ${quoted(name)}) flags=${quoted([...own.map(({ long }) => long), '--help'].join(' '))} ;;`,
  );
  const subcommands = commands
    .filter(({ subcommands: own }) => own.length > 0)
    .map(({ name, subcommands: own }) => `      ${name}) words=${quoted(own.join(' '))} ;;`);
  return `# Completion of resnode for bash: source <(resnode completion bash)
_resnode() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command=\${COMP_WORDS[1]} words='' flags=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=${quoted([...commands.filter(isTop).map(({ name }) => name), '--help', '--version'].join(' '))}
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  if [ "$COMP_CWORD" -eq 2 ]; then
    case $command in
${subcommands.join('\n')}
    esac
  fi
  case "$command \${COMP_WORDS[2]}" in
    ${commands
      .filter((each) => !isTop(each))
      .map(({ name }) => quoted(name))
      .join('|')}) command="$command \${COMP_WORDS[2]}" ;;
  esac
  case "$command $previous" in
${cases.join('\n')}
  esac
  case $command in
${flags.join('\n')}
  esac
  if [[ $current == -* ]]; then words=$flags; fi
  if [ -n "$words" ]; then mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"); fi
}
complete -o default -F _resnode resnode
`;
}

function zsh(commands: readonly Words[]): string {
  const described = (pairs: readonly (readonly [string, string])[]) =>
    pairs
      .map(([name, description]) => quoted(`${name.replaceAll(':', '\\:')}:${briefly(description)}`))
      .join(' ');
  const flags = commands.map(
    ({ name, flags: own }) =>
      `    ${quoted(name)}) flags=(${described(own.map(({ long, description }) => [long!, description]))}) ;;`,
  );
  const values = commands.flatMap(({ name, flags: own }) =>
    own.flatMap((flag) =>
      choicesOf(flag).length === 0
        ? []
        : [`    ${quoted(`${name} ${flag.long}`)}) values=(${choicesOf(flag).map(quoted).join(' ')}) ;;`],
    ),
  );
  const subcommands = commands
    .filter(({ subcommands: own }) => own.length > 0)
    .map(({ name, subcommands: own }) => `    ${name}) values=(${own.map(quoted).join(' ')}) ;;`);
  return `#compdef resnode
# Completion of resnode for zsh: resnode completion zsh > "\${fpath[1]}/_resnode"
_resnode() {
  local -a commands flags values
  local command=$words[2]
  if (( CURRENT == 2 )); then
    commands=(${described(commands.filter(isTop).map(({ name, description }) => [name, description]))})
    _describe command commands
    return
  fi
  if (( CURRENT == 3 )); then
    case $command in
${subcommands.join('\n')}
    esac
  fi
  case "$command $words[3]" in
    ${commands
      .filter((each) => !isTop(each))
      .map(({ name }) => quoted(name))
      .join('|')}) command="$command $words[3]" ;;
  esac
  case "$command $words[CURRENT-1]" in
${values.join('\n')}
  esac
  case $command in
${flags.join('\n')}
  esac
  if (( $#values )); then _describe value values
  elif [[ $words[CURRENT] == -* ]]; then _describe option flags
  else _files
  fi
}
if [[ $funcstack[1] == _resnode ]]; then _resnode "$@"; else compdef _resnode resnode; fi
`;
}

function fish(commands: readonly Words[]): string {
  const lines = commands.flatMap((command) => {
    const { name, description, flags } = command;
    const [first, second] = name.split(' ');
    const seen =
      second === undefined
        ? `__fish_seen_subcommand_from ${first}`
        : `__fish_seen_subcommand_from ${first}; and __fish_seen_subcommand_from ${second}`;
    const offered =
      second === undefined
        ? '__fish_use_subcommand'
        : `__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${second}`;
    return [
      `complete -c resnode -n ${quoted(offered)} -f -a ${second ?? first} -d ${quoted(briefly(description))}`,
      ...flags.map((flag) => {
        const choices = choicesOf(flag);
        const value =
          choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : takesValue(flag) ? ' -r' : '';
        return `complete -c resnode -n ${quoted(seen)} -l ${flag.long!.replace('--', '')}${value} -d ${quoted(briefly(flag.description))}`;
      }),
    ];
  });
  return `# Completion of resnode for fish: resnode completion fish > ~/.config/fish/completions/resnode.fish\n${lines.join('\n')}\n`;
}
