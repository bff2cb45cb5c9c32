/**
 * The page in a real browser: it loads, searches, navigates, opens; it makes no network request and reports no error.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
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

  /** Opens a page from a file, as a user would. */
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
  /** Polls from outside: the page's policy forbids the functions that playwright would wait with. */
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

  test('ResNet-152: search finds res4b35, the panel shows it, and its card scrolls into view', async () => {
    const page = await open(pageText(describeNet(resnet({ depth: 152 })).data));
    assert.match(
      (await page.textContent('#totals'))!,
      /layers as \d+ operations · 60\.3 M parameters · 11\.3 GMAC/,
    );
    assert.not(await isSeen(page, 'res4b35'), 'not drawn while it is out of sight');
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

  test('a net wider than the window opens at its first layers, large enough to read, at 1440 and at 390 pixels', async () => {
    // As in an SSD: the image feeds the trunk and, far from it, layers that need the image's size.
    const heads = Array.from(
      { length: 12 },
      (_, i) => `layer { name: "head${i}" type: "Convolution" bottom: "trunk" top: "head${i}"
          convolution_param { num_output: 4 kernel_size: 1 } }
        layer { name: "priors${i}" type: "PriorBox" bottom: "head${i}" bottom: "data" top: "priors${i}"
          prior_box_param { min_size: 10 } }`,
    );
    const text = `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
      layer { name: "trunk" type: "Convolution" bottom: "data" top: "trunk"
        convolution_param { num_output: 8 kernel_size: 3 } } ${heads.join('\n')}`;
    const page = await open(pageText(describeNet(readNet(text, { file: 'ssd.prototxt' })).data));
    for (const width of [1440, 390]) {
      await page.setViewportSize({ width, height: 844 });
      await page.reload();
      await page.waitForSelector('[data-layer="trunk"]');
      const [card, graph] = [
        (await page.locator('[data-layer="trunk"]').boundingBox())!,
        (await page.locator('#graph').boundingBox())!,
      ];
      assert.ok(card.x >= graph.x && card.x + card.width <= graph.x + graph.width, `${width}: in sight`);
      const zoom = Number.parseInt((await page.textContent('#zoom'))!, 10);
      assert.ok(zoom >= 70, `${width}: found ${zoom}%`);
    }
    await page.click('#fit');
    await until(
      async () => Number.parseInt((await page.textContent('#zoom'))!, 10) < 70,
      'the whole net is smaller',
    );
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

  test('opening a layer shows activations and filters for an image', async () => {
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
    // The last tile, 28 pixels, as it is displayed: its brightest grey on its own scale, and on the scale of all tiles.
    const brightest = () =>
      page.evaluate<number>(`(() => {
        const image = document.querySelector('#panel img');
        const canvas = document.createElement('canvas');
        canvas.width = canvas.height = 28;
        const context = canvas.getContext('2d', { willReadFrequently: true });
        context.drawImage(image, 0, 0, 28, 28, 0, 0, 28, 28);
        return Math.max(...context.getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 === 0).map((grey) => Math.abs(grey - 131)));
      })()`);
    const own = await brightest();
    const { share, caption } = await page.evaluate<{ share: number; caption: string }>(
      `(({ activation: { scales } }) => ({ share: scales.shares[0], caption: scales.caption }))(JSON.parse(
        document.getElementById('pictures').textContent)[${description.layers.findIndex(({ layer }) => layer.name === 'conv1')}])`,
    );
    assert.ok(own > 115, `by its own scale the tile reaches ${own}`);
    await page.check('#panel input[type="checkbox"]');
    await until(async () => (await panelText(page)).includes(caption), 'the caption says the scale');
    await until(async () => Math.abs((await brightest()) - own * share) < 3, 'scaled to its share');
    await page.fill('#search', 'softmax');
    await page.keyboard.press('Enter');
    assert.is(await page.textContent('#panel table td'), 'label 9', 'an ankle boot');
    const lines = await page
      .locator('#panel td:last-child')
      .evaluateAll((cells) => cells.map((cell) => cell.getClientRects().length && cell.clientHeight < 30));
    assert.ok(lines.length === 10 && lines.every(Boolean), 'numbers stand on one line');
    assert.equal(complaints, []);
    await page.close();
  });

  test('filters of three channels are in colour, with blue first as in Caffe, unless the order is RGB', async () => {
    const net = readNet(
      `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
       layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 1 kernel_size: 2 } }`,
      { file: 'net.prototxt' },
    );
    const bytes = new Uint8Array(new Float32Array([1, 1, 1, 1, 0, 0, 0, 0, -1, -1, -1, -1]).buffer);
    const blobs = [
      { shape: [1, 3, 2, 2], dtype: 'float32', bytes },
      { shape: [1], dtype: 'float32', bytes: new Uint8Array(4) },
    ] as const;
    const weights = {
      file: 'made',
      name: '',
      layers: [{ name: 'conv', type: 'Convolution', blobs }],
    } as const;
    for (const order of ['BGR', 'RGB'] as const) {
      const [, { filters }] = Object.entries(await addFilters(describeNet(net), weights, { order }))[0]!;
      const { data, info } = await sharp(Buffer.from(filters!.png, 'base64'))
        .raw()
        .toBuffer({ resolveWithObject: true });
      const pixel = [...data.subarray(0, 3)];
      assert.is(info.channels, 3);
      assert.equal(
        pixel.map((value) => Math.round(value / 128)),
        order === 'BGR' ? [0, 1, 2] : [2, 1, 0],
      );
    }
  });

  test('the overview names the stages, the legend covers no card, and a phone shows the open layer', async () => {
    const page = await open(pageText(describeNet(resnet({ depth: 50 })).data));
    assert.is(
      await page.getAttribute('#overview', 'aria-label'),
      'Overview; res2: 3 blocks at 56×56; res3: 4 blocks at 28×28; res4: 6 blocks at 14×14; res5: 3 blocks at 7×7',
    );
    const [legend, graph] = [
      await page.locator('#legend').boundingBox(),
      await page.locator('#graph').boundingBox(),
    ];
    assert.ok(legend!.y >= graph!.y + graph!.height, 'below the graph');
    await page.setViewportSize({ width: 390, height: 844 });
    await page.fill('#search', 'res5c');
    await page.keyboard.press('Enter');
    await page.waitForSelector('[data-layer="res5c"].chosen');
    const [card, panel] = [
      await page.locator('.card.chosen').boundingBox(),
      await page.locator('#panel').boundingBox(),
    ];
    assert.ok(card!.y + card!.height <= panel!.y, 'the panel stands below the card');
    assert.is(await page.evaluate('document.documentElement.scrollWidth'), 390);
    assert.equal(complaints, []);
    await page.close();
  });

  test('the whole net is saved as an SVG that does not need the page', async () => {
    const page = await open(pageText(describeNet(resnet({ depth: 50 })).data));
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
    assert.match(download.suggestedFilename(), /\.svg$/);
    const text = readFileSync(await download.path(), 'utf8');
    assert.is([...text.matchAll(/class="card"/g)].length, 58);
    assert.match(text, 'res5c_branch2c');
    assert.not.match(text, /var\(--/);
    const { width, height } = await sharp(Buffer.from(text), { unlimited: true }).metadata();
    assert.ok(width! > 300 && height! > 5000, `${width}×${height}`);
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

  test('the page itself forbids network access', async () => {
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
