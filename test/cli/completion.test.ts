/** The scripts of `resnode completion` complete in the shells that are installed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { COMMANDS } from '../../ts/cli/commands.ts';
import { runProgram, wholeProgram } from '../../ts/cli/program.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-completion-'));
test.after(() => rmSync(folder, { recursive: true }));

async function script(shell: string): Promise<string> {
  const { write } = process.stdout;
  let text = '';
  process.stdout.write = (part) => {
    text += part;
    return true;
  };
  await runProgram(['completion', shell]).finally(() => {
    process.stdout.write = write;
  });
  const file = join(folder, `resnode.${shell}`);
  writeFileSync(file, text);
  return file;
}

/** What bash suggests at the end of a line. */
function offered(file: string, line: string): string[] {
  const words = line.split(' ');
  const code = `source ${file}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _resnode; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', code], { encoding: 'utf8' });
  assert.is(stderr, '');
  return stdout.split('\n').filter((word) => word !== '');
}

test('bash completes commands, subcommands, flags, and values that can be listed, and files otherwise', async () => {
  const file = await script('bash');
  assert.equal(
    offered(file, 'resnode ')
      .filter((word) => !word.startsWith('-'))
      .sort(),
    Object.keys(COMMANDS).sort(),
  );
  assert.equal(offered(file, 'resnode cl'), ['classify']);
  assert.equal(offered(file, 'resnode dataset ').sort(), ['annotated', 'cifar', 'idx', 'images', 'mean']);
  assert.equal(offered(file, 'resnode classify --cro'), ['--crops']);
  assert.equal(offered(file, 'resnode classify --crops '), ['1', '10']);
  assert.equal(offered(file, 'resnode dataset images --enc').sort(), ['--encode-type', '--encoded']);
  assert.equal(offered(file, 'resnode dataset images x --encode-type '), ['jpg', 'png']);
  assert.equal(offered(file, 'resnode train --log-format c'), ['caffe']);
  assert.equal(offered(file, 'resnode classify '), []);
  const { commands } = await wholeProgram();
  for (const command of commands)
    assert.equal(
      offered(file, `resnode ${command.name()} --`).sort(),
      [...command.options.map(({ long }) => long!), '--help'].sort(),
      command.name(),
    );
});

for (const shell of ['zsh', 'fish'])
  test(`the script for ${shell} has every command and flag`, async () => {
    const file = await script(shell);
    const check = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
    if (check.error !== undefined) console.log(`skipped: there is no ${shell} that reads the script`);
    else assert.is(check.status, 0, check.stderr);
    const { readFileSync } = await import('node:fs');
    const text = readFileSync(file, 'utf8');
    const { commands } = await wholeProgram();
    for (const command of commands)
      for (const { long } of command.options)
        assert.ok(
          text.includes(shell === 'fish' ? `-l ${long!.slice(2)}` : `'${long}:`),
          `${command.name()} ${long}`,
        );
  });

test.run();
