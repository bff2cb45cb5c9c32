/** Flags are rows of tables. Every flag of every command is tested, with its help and with dozens of wrong values. */
import type { Command } from 'commander';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../ts/base/errors.ts';
import { type Option, signatures } from '../../ts/base/options.ts';
import { COMMANDS } from '../../ts/cli/commands.ts';
import { failureOf } from '../../ts/cli/failure.ts';
import { Flag } from '../../ts/cli/flag.ts';
import { ownFlags } from '../../ts/cli/own-flags.ts';
import { runProgram, wholeProgram } from '../../ts/cli/program.ts';

const program = await wholeProgram();
const commands = program.commands.flatMap((command) => [command, ...command.commands]);
const nameOf = (command: Command) =>
  command.parent === program ? command.name() : `${command.parent!.name()} ${command.name()}`;
const flagsOf = (command: Command) => command.options as readonly Flag[];
const all = commands.flatMap((command) =>
  flagsOf(command).map((flag) => ({ command, flag, name: `${nameOf(command)} ${flag.long}` })),
);
const valued = all.filter(({ flag }) => flag.required || flag.optional);

/** Every row of every function's table, including nested tables. */
function rowsWithin(rows: Readonly<Record<string, Option>>, found = new Set<Option>()): Set<Option> {
  for (const row of Object.values(rows)) {
    if (found.has(row)) continue;
    found.add(row);
    if ('table' in row.kind) rowsWithin(row.kind.table as Readonly<Record<string, Option>>, found);
  }
  return found;
}
const libraryRows = new Set(
  [...signatures.values()].flatMap(({ parameters }) => [...rowsWithin(parameters)]),
);
const ownRows = new Set<Option>(Object.values(ownFlags).map(({ row }) => row));

test("every flag of every command is a row in a function's table or in the command's own", () => {
  assert.ok(commands.length >= Object.keys(COMMANDS).length && all.length > 200, `${all.length} flags`);
  for (const { flag, name } of all) {
    assert.instance(flag, Flag, name);
    assert.ok(libraryRows.has(flag.row) || ownRows.has(flag.row), name);
  }
  const used = new Set(all.map(({ flag }) => flag.row));
  for (const [name, { row }] of Object.entries(ownFlags)) assert.ok(used.has(row), `no command has ${name}`);
});

test("a flag's help has its row's description, the form of its value, and its default", () => {
  for (const { flag, name, command } of all) {
    const { description, default: fallback, kind } = flag.row;
    assert.match(description, /^\S.*\.$/, name);
    // A flag that switches something off has a row in the library's table, whose description description what happens without
    // the flag.
    if (flag.negate) assert.match(flag.description, /^[A-Z].*\.$/, name);
    else assert.ok(flag.description.startsWith(description), name);
    if (!flag.required && !flag.optional) continue;
    assert.ok(kind.written !== undefined, name);
    if (fallback !== null && fallback !== '') assert.match(flag.description, /default: [^)]+\)$/, name);
    assert.match(command.helpInformation().replace(/\s+/g, ' '), description.replace(/\s+/g, ' '), name);
  }
});

test("a flag's default has the flag's kind", () => {
  for (const { flag, name } of valued)
    if (flag.defaultValue !== undefined) assert.is(flag.row.kind.mistake(flag.defaultValue), null, name);
});

const WRONG = [
  ...[
    '',
    ' ',
    'x',
    '-1',
    '0',
    '1.5',
    '-0',
    '+',
    '1e999',
    'NaN',
    'Infinity',
    '-Infinity',
    '0x10',
    '1e3',
    '٣',
    '½',
  ],
  ...[
    '9'.repeat(17),
    '9'.repeat(400),
    '1,2',
    ',',
    '1,,2',
    '1,x',
    ',1',
    '1;2',
    '1 2',
    'a=b',
    'data=',
    '=1',
    '=',
  ],
  ...[
    'data=0x3',
    'data=1x-3',
    'data=1x3x',
    'data=x',
    'data=1e3',
    '__proto__=1',
    'constructor',
    'toString',
    '[]',
  ],
  ...[
    '{}',
    'null',
    'undefined',
    'true',
    'false',
    'x\0y',
    '\uD800',
    'x'.repeat(10_000),
    '10x',
    'x10',
    '0x0',
    '1x',
  ],
  ...[
    'cuda:',
    'cuda:-1',
    'CPU',
    'float',
    'test',
    '8GB ',
    '8 TB',
    '-8GiB',
    '../..',
    '%00',
    '--',
    '-',
    '"1"',
    "'",
  ],
];

let texts = 0;
test("for any value, a flag's kind accepts it or an ArgumentError names the flag", () => {
  for (const { flag, name } of valued) {
    let refused = 0;
    for (const text of WRONG) {
      texts++;
      try {
        const value = flag.parseArg!<unknown>(text, flag.defaultValue);
        const single = flag.variadic ? (value as unknown[]).at(-1) : value;
        assert.is(flag.row.kind.mistake(single), null, `${name} ${JSON.stringify(text)}`);
      } catch (error) {
        assert.instance(error, ArgumentError, `${name} ${JSON.stringify(text)}: ${(error as Error).stack}`);
        const { message } = error as Error;
        assert.match(message, new RegExp(`^${flag.long}: expected .+, but received `), name);
        assert.ok(message.length < 700, `${name}: ${message.length} characters`);
        refused++;
      }
    }
    const takesWords = flag.row.kind.mistake(flag.row.kind.written!.read('x')) === null;
    assert.ok(refused >= (takesWords ? 0 : 25), `${name} refuses ${refused}`);
  }
});

test('on the command line a wrong value gives one sentence and exit status 2, before anything is done', async () => {
  let runs = 0;
  for (const { command, flag, name } of valued) {
    const { mistake, written } = flag.row.kind;
    const text = ['flaot', 'x\0y', '=', ','].find((each) => mistake(written!.read(each)) !== null);
    if (text === undefined) continue;
    let done = false;
    command.action(() => {
      done = true;
    });
    const place = command.parent === program ? [] : [command.parent!.name()];
    const words = [...place, command.name(), ...command.registeredArguments.map(() => 'x'), flag.long!, text];
    const error: unknown = await program.parseAsync(words, { from: 'user' }).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    const failure = failureOf(error);
    assert.is(done, false, name);
    assert.is(failure.status, 2, `${name}: ${failure.text}`);
    assert.match(
      failure.text ?? '',
      new RegExp(`^resnode: ${flag.long}: expected [^\n]+, but received [^\n]+$`),
    );
    runs++;
  }
  console.log(
    `figures: ${all.length} flags of ${commands.length} commands, ${texts} texts, ${runs} command lines`,
  );
});

const refusal = async (...words: string[]): Promise<string> =>
  runProgram(words).then(
    () => 'taken',
    (error: unknown) => failureOf(error).text ?? 'said',
  );

test('a value that is nearly right is refused with the right one, a list with its commas, a pair with its form', async () => {
  assert.match(
    await refusal('time', '--precision', 'flaot16'),
    /--precision: expected .+, but received "flaot16"; did you mean "float16"\?/,
  );
  assert.match(
    await refusal('plan', 'x', '--batch', '1,,2'),
    /^resnode: --batch: expected positive integers with commas between them, but received "1,,2"$/,
  );
  assert.match(
    await refusal('time', '--input-shape', 'data'),
    /^resnode: --input-shape: expected NAME=VALUE, once per name, with a value such as 1x3x224x224, but received "data"$/,
  );
  assert.match(
    await refusal('time', '--input-shape', 'data=1x1', '--input-shape', 'data=1x2'),
    /--input-shape: expected .*once per name.*, but received "data=1x2"/,
  );
  assert.match(
    await refusal('classify', '--resize', '256'),
    /^resnode: --resize: expected WIDTHxHEIGHT, such as 256x256, but received "256"$/,
  );
});

test.run();
