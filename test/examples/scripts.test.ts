/** Examples that run to completion: fine-tuning, net surgery, and Electron's main process with a fake Electron. */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filesOfModelFolder } from '../../ts/caffe/model-folder.ts';
import { repositoryFolder } from '../support/golden.ts';

const examples = join(repositoryFolder, 'examples');
const fashion = join(examples, 'fashion');
const boot = join(fashion, 'images/0000.png');
const folder = mkdtempSync(join(tmpdir(), 'resnode-examples-'));
test.after(() => rmSync(folder, { recursive: true }));

const run = (file: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, ['--import', import.meta.resolve('tsx'), join(examples, file), ...args], {
    encoding: 'utf8',
    cwd: repositoryFolder,
    env: { ...process.env, ...environment },
  });

test('finetune: classes from folders, a model folder that classifies', () => {
  const images = join(folder, 'images');
  for (const line of readFileSync(join(fashion, 'images.txt'), 'utf8').trim().split('\n')) {
    const [file, label] = line.split(' ') as [string, string];
    if (Number(label) > 2 && label !== '9') continue;
    mkdirSync(join(images, `class ${label}`), { recursive: true });
    copyFileSync(join(fashion, file), join(images, `class ${label}`, file.split('/').at(-1)!));
  }
  const out = join(folder, 'tuned');
  const { status, stdout, stderr } = run('finetune/finetune.mjs', [fashion, images, out, '1'], {
    EXAMPLE: boot,
  });
  assert.is(status, 0, stderr);
  assert.match(stdout, /^class 0, class 1, class 2, class 9: \d+ images for training, \d+ for validation$/m);
  assert.match(stdout, /^\d+ of \d+ held-out images right$/m);
  assert.match(stdout, /0000\.png: class \d 0\.\d{4}$/m);
  assert.ok(existsSync(filesOfModelFolder(out, ['model', 'weights', 'labels', 'preprocess']).weights));
  assert.is(run('finetune/finetune.mjs', []).status, 2);
});

test('net-surgery: a class for every position of a larger image, and never the class that was removed', () => {
  const out = join(folder, 'surgery');
  const { status, stdout, stderr } = run('net-surgery/surgery.mjs', [fashion, boot, out]);
  assert.is(status, 0, stderr);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(' | '));
  assert.is(rows.length, 8);
  assert.ok(rows.every((row) => row.length === 8));
  const [first] = readFileSync(join(fashion, 'labels.txt'), 'utf8').split('\n');
  assert.not.ok(rows.flat().includes(first!));
  assert.match(
    readFileSync(join(out, 'model.prototxt'), 'utf8'),
    /name: "fc10-conv"\n\s+type: "Convolution"/,
  );
});

test('electron-main: the page gets the classes of the files that its user chose, and errors with their codes', () => {
  // Electron is not a dependency of the project, so this fakes the parts that main.mjs uses.
  const place = join(folder, 'electron');
  cpSync(join(examples, 'electron-main'), place, { recursive: true });
  const broken = join(folder, 'broken.png');
  writeFileSync(broken, 'no image');
  writeFileSync(
    join(place, 'electron.mjs'),
    `const on = {};
const handlers = {};
export const ipcMain = { handle: (name, handler) => { handlers[name] = handler; } };
export const dialog = { showOpenDialog: async () => ({ filePaths: ${JSON.stringify([boot, broken])} }) };
export const app = {
  whenReady: async () => {},
  on: (name, listener) => { on[name] = listener; },
  quit: () => on['before-quit']({ preventDefault: () => {} }),
};
export class BrowserWindow {
  async loadFile(file) {
    console.log(JSON.stringify({ file, answers: await handlers.classify() }));
    setTimeout(() => on['window-all-closed'](), 0);
  }
}
`,
  );
  for (const file of ['main.mjs', 'answers.mjs'])
    writeFileSync(
      join(place, file),
      readFileSync(join(place, file), 'utf8')
        .replace("'electron'", "'./electron.mjs'")
        .replace('import.meta.dirname', JSON.stringify(place))
        .replace("'resnode/images'", JSON.stringify(join(repositoryFolder, 'ts/api/images.ts')))
        .replace("'resnode'", JSON.stringify(join(repositoryFolder, 'ts/index.ts'))),
    );
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), join(place, 'main.mjs')],
    { encoding: 'utf8', env: { ...process.env, MODEL: fashion } },
  );
  assert.is(status, 0, stderr);
  const { file, answers } = JSON.parse(stdout);
  assert.is(file, join(place, 'index.html'));
  assert.is(answers[0].classes[0].label, 'Ankle boot');
  assert.equal([answers[1].file, answers[1].error.code], [broken, 'image/unreadable']);
});

test.run();
