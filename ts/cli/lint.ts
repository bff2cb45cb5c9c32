/** `resnode lint` */
import { Command } from 'commander';
import { formatPosition } from '../errors.ts';
import { type Finding, lintFile } from '../lint/lint.ts';
import { lintRules } from '../lint/rules.ts';

interface Flags {
  strict?: boolean;
  rules?: boolean;
  json?: boolean;
}

export function lint(): Command {
  return new Command('lint')
    .description('find the traps in nets and solvers, each with its place and what mends it')
    .argument('[prototxt...]', 'the files')
    .option('--strict', 'fail for warnings too')
    .option('--rules', 'list the rules instead: what each finds, and why')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Exit status 1 where an error was found (with --strict, or a warning).
A comment silences rules in the line after it:  # resnode-lint: disable=size-rounding,legacy-input

Example:
  resnode lint train_val.prototxt solver.prototxt --strict`,
    )
    .action((files: string[], { strict, rules, json }: Flags, command: Command) => {
      if ((files.length === 0) !== (rules === true))
        command.error('error: expected prototxts, or --rules', { exitCode: 2 });
      if (rules) {
        console.log(json ? JSON.stringify(lintRules) : lintRules.map(ruleText).join('\n\n'));
        return;
      }
      const findings = files.flatMap(lintFile);
      console.log(
        json ? JSON.stringify(findings) : [...findings.map(findingText), total(findings)].join('\n'),
      );
      if (findings.some(({ level }) => level === 'error' || (strict && level === 'warning')))
        process.exitCode = 1;
    });
}

const ruleText = ({ name, level, finds, why, fix }: (typeof lintRules)[number]) =>
  `${name} (${level})\n  finds ${finds}\n  why: ${why}\n  fix: ${fix}`;

const findingText = ({ position, level, rule, message, fix }: Finding) =>
  `${formatPosition(position)}: ${level} ${rule}: ${message}\n  fix: ${fix}`;

function total(findings: readonly Finding[]): string {
  const count = (level: string) => {
    const number = findings.filter((finding) => finding.level === level).length;
    return `${number} ${level}${number === 1 ? '' : 's'}`;
  };
  return ['error', 'warning', 'note'].map(count).join(', ');
}
