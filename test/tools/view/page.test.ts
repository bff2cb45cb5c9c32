/** The page in a real browser: it loads, finds, walks, opens; nothing is asked of the network, nothing is complained of. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resnet } from '../../../ts/architectures/resnet.ts';
import { filterNet, readNet, readNetFile } from '../../../ts/caffe/net-parameter.ts';
import { readWeights } from '../../../ts/caffe/read-weights.ts';
import { openDevice } from '../../../ts/device/device.ts';
import { decodeImage } from '../../../ts/images/decode.ts';
import { preprocessImage } from '../../../ts/images/preprocess.ts';
import { loadPreprocess } from '../../../ts/images/preprocess-file.ts';
import { loadBinding } from '../../../ts/native/load.ts';
import { describeNet } from '../../../ts/tools/view/describe-net.ts';
import { addActivations, addFilters, picturedLayers } from '../../../ts/tools/view/page-pictures.ts';
import { pageText } from '../../../ts/tools/view/write-page.ts';
import { type Browser, findChromium, startBrowser } from '../../support/browser.ts';
import { repositoryFolder } from '../../support/golden.ts';

const chromium = findChromium();
if (chromium !== null) {
  const folder = mkdtempSync(join(tmpdir(), 'resnode-page-'));
  let browser: Browser;
  const complaints: string[] = [];

  /** Opens a page's text from a file, as a user would. */
  async function open(text: string): Promise<Page> {
    const file = join(folder, `${Math.random()}.html`);
    writeFileSync(file, text);
    const page = await browser.context.newPage();
    complaints.length = 0;
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) complaints.push(`asks for ${request.url()}`);
    });
    await page.goto(pathToFileURL(file).href);
    await page.waitForSelector('.card');
    return page;
  }
  /** Looks again and again, from outside: the page's policy forbids the functions that playwright would wait with. */
  async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
    for (let tries = 0; !(await condition()); tries++) {
      assert.ok(tries < 300, what);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const heading = (page: Page) => page.textContent('#panel h2');
  const panelText = async (page: Page) => (await page.textContent('#panel'))!;
  const isSeen = (page: Page, layer: string) => page.isVisible(`[data-layer="${layer}"]`);

  test.before(async () => {
    browser = await startBrowser(chromium);
  });
  test.after(() => browser.close());

  test('ResNet-152: search finds res4b35, the panel shows it, and the card comes into sight', async () => {
    const page = await open(pageText(describeNet(resnet({ depth: 152 })).data));
    assert.match(
      (await page.textContent('#totals'))!,
      /layers as \d+ operations · 60\.3 M parameters · 11\.3 GMAC/,
    );
    assert.not(await isSeen(page, 'res4b35'), 'not drawn while it is out of sight');
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      times.push(await page.evaluate('performance.timing.loadEventEnd - performance.timing.navigationStart'));
      await page.reload();
      await page.waitForSelector('.card');
    }
    console.log(`ResNet-152's page loaded in ${times.join(', ')} ms`);
    // The best: a busy machine, or a browser that is starting, is not the page's affair.
    assert.ok(Math.min(...times) < 2000, `${times.join(', ')} ms`);
    await page.keyboard.press('/');
    await page.keyboard.type('res4b35');
    assert.is(await page.textContent('#results [aria-selected="true"] span'), 'res4b35');
    await page.keyboard.press('Enter');
    assert.is(await heading(page), 'res4b35');
    const text = await panelText(page);
    for (const expected of [
      '1×1024×14×14',
      'Receptive field',
      'Runs as one operation of 5 layers',
      'type: "Eltwise"',
    ])
      assert.ok(text.includes(expected), `${expected} in ${text}`);
    await page.waitForSelector('[data-layer="res4b35"].chosen');
    assert.ok(await isSeen(page, 'res4b35'));
    const offCentre = async () => {
      const [card, stage] = await Promise.all([
        page.locator('.card.chosen').boundingBox(),
        page.locator('#graph').boundingBox(),
      ]);
      return Math.abs(card!.x + card!.width / 2 - stage!.x - stage!.width / 2);
    };
    await until(async () => (await offCentre()) < 2, 'in the middle, the panel beside it');
    const drawn = await page.locator('.card').count();
    assert.ok(drawn < 20, `${drawn} cards drawn, of which few are in sight`);
    assert.equal(complaints, []);
    await page.close();
  });

  test('keys walk, zoom and close; clicks open; wheel and drag move', async () => {
    const page = await open(pageText(describeNet(resnet({ depth: 50 })).data));
    const pressed: [string, string][] = [
      ['ArrowDown', 'input'],
      ['ArrowDown', 'conv1'],
      ['ArrowDown', 'bn_conv1'],
      ['ArrowUp', 'conv1'],
    ];
    for (const [key, expected] of pressed) {
      await page.keyboard.press(key);
      assert.is(await heading(page), expected, key);
    }
    await page.keyboard.press('Escape');
    assert.not(await page.isVisible('#panel'));
    await page.click('[data-layer="res2a_branch2a"]');
    assert.is(await heading(page), 'res2a_branch2a');
    await page.click('#panel .link >> text=res2a_branch2a_relu >> nth=0');
    assert.is(await heading(page), 'res2a_branch2a_relu');
    await page.click('[data-layer="res2a_branch2b"]');
    await page.keyboard.press('ArrowRight');
    assert.is(await heading(page), 'res2a_branch1', 'the branch beside it');
    await page.keyboard.press('ArrowLeft');
    assert.is(await heading(page), 'res2a_branch2b');
    const zoom = async () => Number.parseInt((await page.textContent('#zoom'))!, 10);
    await page.keyboard.press('Escape');
    await page.keyboard.press('+');
    await until(async () => (await zoom()) > 100, 'zoomed in');
    await page.keyboard.press('0');
    await until(async () => (await zoom()) < 30, 'zoomed out');
    assert.is(await page.locator('.card').count(), 58, 'the whole net is in sight');
    assert.is(await page.locator('.card text').count(), 0, 'too small for text, so none is drawn');
    await page.click('#overview', { position: { x: 20, y: 300 } });
    await page.keyboard.press('ArrowDown');
    assert.is(await heading(page), 'input');
    await page.waitForSelector('[data-layer="input"].chosen');
    await page.mouse.move(500, 500);
    await page.mouse.wheel(0, 3000);
    await page.waitForSelector('[data-layer="input"]', { state: 'detached' });
    await page.mouse.down();
    await page.mouse.move(500, 850, { steps: 4 });
    await page.mouse.up();
    assert.is(await heading(page), 'input', 'a drag opens nothing');
    assert.equal(complaints, []);
    await page.close();
  });

  test('ResNet-1202: opens, finds its last block and goes there', async () => {
    const page = await open(pageText(describeNet(resnet({ depth: 1202 })).data));
    await page.fill('#search', 'res4b199 eltwise');
    await page.keyboard.press('Enter');
    assert.is(await heading(page), 'res4b199');
    await page.waitForSelector('[data-layer="res4b199"].chosen');
    await page.keyboard.press('0');
    await until(async () => (await page.locator('.card').count()) > 1200, 'the whole net in sight');
    assert.equal(complaints, []);
    await page.close();
  });

  test('activations and filters of an image are shown on opening a layer', async () => {
    const fashion = join(repositoryFolder, 'examples/fashion');
    const net = filterNet(readNetFile(join(fashion, 'deploy.prototxt')));
    const description = describeNet(net);
    const map = (path: string) => new Uint8Array(loadBinding().binding.mapFile(path));
    const weights = await readWeights(join(fashion, 'model.caffemodel'), map);
    const image = await decodeImage(join(fashion, 'images/0000.png'));
    const data = await preprocessImage(image, loadPreprocess(join(fashion, 'preprocess.json')), 1);
    await using device = await openDevice('cpu', { threads: 2 });
    const labels = Array.from({ length: 10 }, (_, i) => `label ${i}`);
    const pictures = await addActivations(
      await addFilters(description, weights),
      description,
      device,
      { data },
      { model: net, weights, labels },
    );
    assert.is(Object.keys(pictures).length, picturedLayers(description).length);
    const text = pageText(description.data, pictures);
    assert.ok(text.length < 2e6, `${text.length} bytes`);
    const page = await open(text);
    await page.click('[data-layer="conv1"]');
    const sizes = await page.$$eval('#panel img', (images) =>
      (images as unknown as { complete: boolean; naturalWidth: number; naturalHeight: number }[]).map(
        ({ complete, naturalWidth, naturalHeight }) => [complete, naturalWidth, naturalHeight],
      ),
    );
    // 6 tiles of 28 and 5 gaps; 16 filters of 3×3 as 8 columns.
    assert.equal(sizes, [
      [true, 6 * 28 + 5, 3 * 28 + 2],
      [true, 8 * 3 + 7, 2 * 3 + 1],
    ]);
    await page.fill('#search', 'softmax');
    await page.keyboard.press('Enter');
    assert.is(await page.textContent('#panel table td'), 'label 9', 'an ankle boot');
    assert.equal(complaints, []);
    await page.close();
  });

  test('hostile names and layers that cannot run are drawn, marked, and never markup', async () => {
    const net = readNet(
      `name: "<img src=x onerror=alert(1)>"
       layer { name: "</script><b>" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
       layer { name: "what" type: "MadeUp" bottom: "x" top: "y" }`,
      { file: 'net.prototxt' },
    );
    const page = await open(pageText(describeNet(net).data));
    assert.is(await page.textContent('h1'), '<img src=x onerror=alert(1)>');
    assert.is(await page.locator('.card.broken').count(), 1);
    await page.click('[data-layer="what"]');
    assert.match(await panelText(page), /cannot run this layer: .*"MadeUp" is not supported/);
    assert.is(await page.locator('h1 *, .card b').count(), 0);
    assert.equal(complaints, []);
    await page.close();
  });

  test('the network is forbidden by the page itself', async () => {
    const page = await open(pageText(describeNet(resnet({ depth: 20 })).data));
    const answer = await page.evaluate('fetch("http://127.0.0.1:9/").then(() => "asked", () => "refused")');
    assert.is(answer, 'refused');
    assert.ok(
      complaints.some((text) => /Content Security Policy/.test(text)),
      complaints.join('\n'),
    );
    await page.close();
  });
}

test.run();
