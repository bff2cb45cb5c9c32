/** `resnode lint` */

import { Command } from 'commander';
import { formatPosition, ResnodeError } from '../base/errors.ts';
import { causeOf, groupBy } from '../base/group-alike.ts';
import type { Shapes } from '../base/shape.ts';
import { filterNet, type NetParameter, readNetFile } from '../caffe/net-parameter.ts';
import { readInputShapes } from '../data/read-shapes.ts';
import { checkInputNames, inputNames } from '../layers/data.ts';
import { type Finding, lintFile } from '../tools/lint/lint.ts';
import { lintRules } from '../tools/lint/rules.ts';
import { own } from './flag.ts';
import { prototxtOf } from './model-folder.ts';
import { type InputShapeFlags, inputShapeOption } from './options.ts';

interface Flags extends InputShapeFlags {
  strict?: boolean;
  rules?: boolean;
  json?: boolean;
}

export function lint(): Command {
  const command = new Command()
    .argument('[prototxt...]', 'nets, solvers or model folders')
    .addOption(own('strict'))
    .addOption(own('rules'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
The exit status is 1 if an error was found (with --strict, also for a warning).
A problem that occurs in several places is printed once, with their lines; --json lists each finding separately.
A comment disables rules in the next line:  # resnode-lint: disable=size-rounding,legacy-input

Example:
  resnode lint train_val.prototxt solver.prototxt --strict`,
    )
    .action(async (given: string[], { strict, rules, json, inputShape }: Flags) => {
      const files = given.map(prototxtOf);
      if ((files.length === 0) !== (rules === true))
        command.error('error: expected prototxts, or --rules', { exitCode: 2 });
      if (rules) {
        console.log(json ? JSON.stringify(lintRules) : lintRules.map(ruleText).join('\n\n'));
        return;
      }
      const nets = files.map(netsOf);
      const inputs = nets.flat().flatMap(({ layer = [] }) => inputNames(layer));
      if (inputs.length > 0) checkInputNames(inputs, inputShape);
      const findings: Finding[] = [];
      for (const [i, file] of files.entries())
        findings.push(...lintFile(file, { inputShapes: await shapesOf(nets[i]!, inputShape) }));
      console.log(
        json
          ? JSON.stringify(findings)
          : [...groupBy(findings, causeAndFile).map(groupText), total(findings)].join('\n'),
      );
      if (findings.some(({ level }) => level === 'error' || (strict && level === 'warning')))
        process.exitCode = 1;
    });
  return inputShapeOption(command);
}

/** The net of each phase; none if the file has no readable net, which lint then reports. */
function netsOf(file: string): NetParameter[] {
  try {
    const { state: _, ...net } = readNetFile(file, { onForkField: () => {} });
    return (['TRAIN', 'TEST'] as const).map((phase) => filterNet(net, { phase }));
  } catch (error) {
    if (!(error instanceof ResnodeError)) throw error;
    return [];
  }
}

// Data layers take their shapes from their data if it exists; without it, rules about shapes check less.
async function shapesOf(nets: readonly NetParameter[], given: Shapes): Promise<Shapes> {
  let shapes = given;
  for (const net of nets)
    try {
      shapes = await readInputShapes(net, shapes);
    } catch (error) {
      if (!(error instanceof ResnodeError)) throw error;
    }
  return shapes;
}

const ruleText = ({ name, level, finds, why, fix }: (typeof lintRules)[number]) =>
  `${name} (${level})\n  finds ${finds}\n  why: ${why}\n  fix: ${fix}`;

const causeAndFile = ({ position, level, rule, message, fix }: Finding) =>
  [position.file, level, rule, causeOf(message), causeOf(fix)].join('\n');

/** Prints a problem once at its first place, followed by the lines of its other places. */
function groupText([first, ...others]: readonly Finding[]): string {
  const { position, level, rule, message, fix } = first!;
  const lines = [...new Set(others.map((other) => other.position.line))].join(', ');
  return [
    `${formatPosition(position)}: ${level} ${rule}: ${message}`,
    ...(others.length === 0
      ? []
      : [`  and ${others.length} more in ${others.length === 1 ? 'line' : 'lines'} ${lines}`]),
    `  fix: ${fix}`,
  ].join('\n');
}

function total(findings: readonly Finding[]): string {
  const count = (level: string) => {
    const number = findings.filter((finding) => finding.level === level).length;
    return `${number} ${level}${number === 1 ? '' : 's'}`;
  };
  return ['error', 'warning', 'note'].map(count).join(', ');
}
