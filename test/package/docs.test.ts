/** `npm run docs`: every type that the public API mentions is public and documented, and the site can be read. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FEWER_COLLECTIONS, LATER } from '../../scripts/v8-flags.mjs';
import { findChromium, startBrowser } from '../support/browser.ts';
import { repositoryFolder } from '../support/golden.ts';

interface Reflection {
  readonly name: string;
  readonly children?: readonly Reflection[];
  readonly categories?: readonly { readonly title: string }[];
  readonly signatures?: readonly {
    readonly comment?: { readonly blockTags?: readonly { readonly tag: string }[] };
  }[];
}

const folder = mkdtempSync(join(tmpdir(), 'resnode-docs-'));
test.after(() => rmSync(folder, { recursive: true }));
const [site, json] = [join(folder, 'site'), join(folder, 'api.json')];

test('the API is documented without a warning', () => {
  const typedoc = join(repositoryFolder, 'node_modules/typedoc/bin/typedoc');
  // packed.test.ts checks types, where the package is built; this would take half of the time.
  const flags = [...LATER, ...FEWER_COLLECTIONS];
  const words = ['--skipErrorChecking', '--html', site, '--json', json];
  const run = spawnSync(process.execPath, [...flags, typedoc, ...words], {
    cwd: repositoryFolder,
    encoding: 'utf8',
  });
  assert.is(run.status, 0, `${run.stdout}${run.stderr}`);
  assert.not.match(`${run.stdout}${run.stderr}`, /warning/);
});

const MAIN = [
  ...['openDevice', 'devices', 'readNetFile', 'readNet', 'filterNet', 'printPrototxt', 'readCaffemodel'],
  ...['writeCaffemodel', 'saveCaffemodel', 'toFloat32', 'blobFromFloats', 'resnet', 'decodeImage'],
  ...[
    'preprocessImage',
    'loadPreprocess',
    'savePreprocess',
    'readLabels',
    'openClassifier',
    'extractFeatures',
  ],
  ...[
    'evaluateImages',
    'finetune',
    'resnetTraining',
    'checkSolver',
    'openReport',
    'readTrainingLog',
    'convert',
  ],
  ...['calibrate', 'lintFile', 'convertImages', 'meanOfImages', 'deployNet', 'readModelFolder'],
];

test('every module has categories, and every main function an example', () => {
  const { children: modules = [] } = JSON.parse(readFileSync(json, 'utf8')) as Reflection;
  for (const { name, categories = [] } of modules) {
    assert.ok(categories.length > 0, name);
    // A new folder of ts/ needs a row in scripts/typedoc-categories.mjs.
    assert.not.ok(
      categories.some(({ title }) => title === 'Others' || title === 'Other'),
      name,
    );
  }
  const all = new Map(modules.flatMap(({ children = [] }) => children.map((each) => [each.name, each])));
  for (const name of MAIN) {
    const tags = (all.get(name)?.signatures ?? []).flatMap(({ comment }) => comment?.blockTags ?? []);
    assert.ok(
      tags.some(({ tag }) => tag === '@example'),
      name,
    );
  }
});

const chromium = findChromium();
if (chromium !== null)
  test('the site opens from its files: the README, a module in its categories, a function', async () => {
    const browser = await startBrowser(chromium);
    try {
      const page = await browser.context.newPage();
      const open = (file: string) => page.goto(pathToFileURL(join(site, file)).href);
      await open('index.html');
      assert.match(await page.title(), /resnode/);
      await open('modules/api_images.html');
      const text = (await page.textContent('body')) ?? '';
      for (const heading of ['Classifiers', 'Evaluation', 'Images']) assert.match(text, heading);
      await open('functions/api_images.openClassifier.html');
      assert.match((await page.textContent('body')) ?? '', /await using classifier = await openClassifier/);
    } finally {
      await browser.close();
    }
  });

test.run();
