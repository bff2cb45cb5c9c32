/** Lints a prototxt: every rule over a net or a solver, in the order of the file. */

import { type Position, PrototxtError } from '../../base/errors.ts';
import { path, shapes, string } from '../../base/kinds.ts';
import { optional, options, required, signature } from '../../base/options.ts';
import { forkOfLayerType } from '../../caffe/fork-fields.ts';
import { readPrototxtFile } from '../../caffe/prototxt-file.ts';
import type { ForkField } from '../../caffe/prototxt-source.ts';
import { readForLint } from './read-for-lint.ts';
import { type Found, type Level, messageOf } from './rule.ts';
import { rules } from './rules.ts';

export interface Finding {
  /** The rule's name, as in `lintRules`. */
  readonly rule: string;
  readonly level: Level;
  readonly position: Position;
  /** The finding, without its position. */
  readonly message: string;
  readonly fix: string;
}

export interface LintOptions {
  /** Shapes of inputs by blob, if the prototxt does not give them. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** The name for findings. Files that the prototxt names are also searched beside it. */
  readonly file: string;
}

const LINT_PROTOTXT = signature('lintPrototxt', {
  text: required(string, 'The text of the prototxt.'),
  options: required(
    options<LintOptions>({
      inputShapes: optional(shapes, 'as written', 'The shapes of inputs, by blob name.'),
      file: required(string, 'The name of the file in findings.'),
    }),
    'The name of the text, and the shapes of inputs.',
  ),
});

/**
 * Finds what Caffe refuses, and what it accepts but is probably a mistake, in a net (for each phase in which it has inputs)
 * or a solver. `# resnode-lint: disable=name` (several with commas) on the line before silences rules there.
 * @returns Findings in the order of the file. Text that cannot be read is a finding too.
 */
export function lintPrototxt(text: string, options: LintOptions): Finding[] {
  LINT_PROTOTXT.check(text, options);
  const { file, inputShapes = {} } = options;
  const lines = text.split('\n');
  const isDisabled = ({ rule, position }: Finding) => {
    const comment = /#\s*resnode-lint:\s*disable=([\w-]+(?:\s*,\s*[\w-]+)*)/.exec(
      lines[position.line - 2] ?? '',
    );
    return comment !== null && comment[1]!.split(/\s*,\s*/).includes(rule);
  };
  const found = new Map<string, Finding>();
  for (const finding of findings(text, file, inputShapes)) {
    const { rule, position, message } = finding;
    // A finding in both phases is reported once.
    found.set(`${rule} ${position.line}:${position.column} ${message}`, finding);
  }
  return [...found.values()]
    .filter((finding) => !isDisabled(finding))
    .sort((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
}

const LINT_FILE = signature('lintFile', {
  file: required(path, 'The path of a prototxt.'),
  options: optional(
    options<Omit<LintOptions, 'file'>>({
      inputShapes: optional(shapes, 'as written', 'The shapes of inputs, by blob name.'),
    }),
    'none',
    'What the file does not say.',
  ),
});

/**
 * Lints the prototxt at a path. A file of another kind is a finding.
 * @throws ArgumentError if the file cannot be read
 * @example for (const { level, rule, message, fix } of lintFile('train_val.prototxt')) console.log(level, rule, message,
 * fix);
 */
export function lintFile(file: string, options: Omit<LintOptions, 'file'> = {}): Finding[] {
  LINT_FILE.check(file, options);
  let text: string;
  try {
    text = readPrototxtFile(file, 'net or solver', 'file');
  } catch (error) {
    if (!(error instanceof PrototxtError)) throw error;
    return [doesNotParse(error, file)];
  }
  return lintPrototxt(text, { file, ...options });
}

/** Each name once. A layer of a fork's type has its own rule. */
function* foreignFields(fields: readonly ForkField[]): Iterable<Found> {
  const reported = new Set<string>();
  for (const { refusal, type, name, tunes, layer } of fields) {
    const isForeignLayer = forkOfLayerType(String(layer?.type ?? '')) !== undefined;
    if (reported.has(`${type}.${name}`) || (isForeignLayer && !tunes)) continue;
    reported.add(`${type}.${name}`);
    const { position } = refusal;
    yield {
      position,
      message: messageOf(refusal),
      ...(tunes
        ? { level: 'warning', fix: 'nothing for resnode, which ignores it; remove it for BVLC' }
        : {}),
    };
  }
}

function* findings(
  text: string,
  file: string,
  inputShapes: NonNullable<LintOptions['inputShapes']>,
): Iterable<Finding> {
  try {
    const subject = readForLint(text, file, inputShapes);
    for (const field of foreignFields(subject.foreign)) yield finding('fork-field', field, file);
    for (const rule of rules) {
      const all =
        rule.on === 'net' && subject.kind === 'net'
          ? rule.check(subject.net)
          : rule.on === 'solver' && subject.kind === 'solver'
            ? rule.check(subject.solver)
            : [];
      for (const each of all) yield finding(rule.name, each, file);
    }
  } catch (error) {
    if (!(error instanceof PrototxtError)) throw error;
    yield doesNotParse(error, file);
  }
}

function doesNotParse(error: PrototxtError, file: string): Finding {
  return finding('does-not-parse', { position: error.position, message: messageOf(error) }, file);
}

function finding(name: string, { position, message, level, fix }: Found, file: string): Finding {
  const rule = rules.find((each) => each.name === name)!;
  return {
    rule: name,
    level: level ?? rule.level,
    position: position ?? { file, line: 1, column: 1 },
    message,
    fix: fix ?? rule.fix,
  };
}
