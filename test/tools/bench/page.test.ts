/** A report as text and as a page, that in a real browser too: plots and tables that fit, nothing loaded, nothing executed but its own script. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { benchPage } from '../../../ts/tools/bench/page.ts';
import { type CaffeFigures, type Report, type Result, table } from '../../../ts/tools/bench/report.ts';
import { findChromium, startBrowser } from '../../support/browser.ts';

const result = (engine: string, milliseconds: number): Result => ({
  task: 'forward',
  engine,
  net: 'ResNet-50',
  batch: 8,
  macs: 8 * 3.5e9,
  quiet: [[milliseconds, milliseconds * 1.02], [milliseconds * 1.1]],
  busy: [[2 * milliseconds], [2.5 * milliseconds]],
  eventLoop: engine === 'torch' ? null : { median: 0.1, p99: 1, max: 2 },
  firstAnswer: [400],
  peakBytes: 2e8,
});

const report: Report = {
  schema: 'resnode-bench/3',
  date: '2026-11-25T10:00:00.000Z',
  commit: null,
  machine: {
    processor: 'A <b>processor</b>',
    flags: Array.from({ length: 30 }, (_, i) => `avx512_${i}`),
    cores: 2,
    memoryBytes: 2 ** 33,
    system: 'linux',
    governor: null,
    load: 0.5,
  },
  othersCores: { mean: 0.1, max: 0.9 },
  versions: { node: '20' },
  settings: { threads: 2, precision: 'float32', rounds: 2 },
  sgemmGflops: 200,
  bandwidth: 20,
  absent: [{ engine: 'Caffe', reason: 'no build was named' }],
  results: [result('resnode', 200), result('onnxruntime-node', 250), result('torch', 300)],
  operations: {
    batch: 8,
    times: [
      {
        name: 'convolution 1×1',
        nets: ['1 in ResNet-50'],
        implementation: 'x',
        macs: 1e8,
        bytes: 1e6,
        milliseconds: [2, 3, 2],
        candidates: [
          { implementation: 'another', milliseconds: [4, 4] },
          { implementation: 'x', milliseconds: [2, 3, 2] },
        ],
      },
      {
        name: 'softmax',
        nets: ['1 in ResNet-50'],
        implementation: 'y',
        macs: 0,
        bytes: 8e3,
        milliseconds: [0.1],
        candidates: [{ implementation: 'y', milliseconds: [0.1] }],
      },
    ],
  },
  caffe: [],
};

const caffe: CaffeFigures = {
  task: 'forward',
  net: 'ResNet-50',
  batch: 8,
  time: {
    iterations: 2,
    forwardBackward: [950, 1100],
    layers: [],
    averageForward: 400,
    averageBackward: 600.5,
    averageForwardBackward: 1025,
    device: 'CPU',
  },
  recordedOn: null,
};
const cells = (html: string, row: string) => {
  const [, found] = new RegExp(`<tr><td>${row}.*?</tr>`).exec(html)?.[0].match(/^<tr>(.*)<\/tr>$/) ?? [];
  return (found ?? '').split(/<\/?td>/).filter((_, i) => i % 2 === 1);
};

test("Caffe's forward and backward passes are a row in the engines' table", async () => {
  const html = benchPage({ ...report, caffe: [caffe] });
  const row = ['Caffe (CPU), in this run', '20.0', '400.00', ...Array(6).fill(''), '1.96', '400.0', '600.5'];
  assert.equal(cells(html, 'Caffe'), row);
  assert.match(
    table({ ...report, caffe: [caffe] }),
    /forward 400\.0 ms, backward 600\.5 ms.*\n.*its forward over resnode's: 1\.96/,
  );
  const elsewhere = benchPage({ ...report, results: [], caffe: [{ ...caffe, recordedOn: 'a GPU' }] });
  assert.is(cells(elsewhere, 'Caffe \\(CPU\\), recorded on a GPU')[9], '');
});

test("a training step has its own section, with Caffe's forward and backward passes together", async () => {
  const steps = report.results.map((each) => ({ ...each, task: 'training' as const, firstAnswer: [] }));
  const training = { ...caffe, task: 'training' as const };
  const both = { ...report, results: [...report.results, ...steps], caffe: [training] };
  const html = benchPage(both);
  assert.equal(
    [...html.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, title]) => title),
    [
      'ResNet-50, batch 8',
      'ResNet-50, batch 8, training step',
      'Operations at batch 8',
      'How it was measured',
    ],
  );
  const row = [
    'Caffe (CPU), in this run',
    '7.8',
    '1025.00',
    '950.00',
    '1100.00',
    '',
    '',
    '',
    '',
    '5.02',
    '400.0',
    '600.5',
  ];
  assert.equal(cells(html, 'Caffe'), row);
  assert.match(html, /forward and backward without an update/);
  const text = table(both);
  assert.match(text, /ResNet-50, batch 8, training step, resnode: .*\n {2}a step: median 204\.0 ms/);
  assert.match(text, /without an update, over resnode's: 5\.02/);
});

test('an operation that was timed in several implementations lists each, the chosen one first', async () => {
  const expected = /x 2\.00 ms, another 4\.00 ms/;
  assert.match(benchPage(report), expected);
  assert.match(table(report), expected);
});

const chromium = findChromium();
if (chromium !== null)
  test('it shows every engine and operation, fits a phone, and loads nothing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'resnode-page-'));
    const browser = await startBrowser(chromium);
    try {
      writeFileSync(join(folder, 'bench.html'), benchPage(report));
      const page = await browser.context.newPage();
      const requests: string[] = [];
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('request', (request) => requests.push(request.url()));
      await page.setViewportSize({ width: 390, height: 800 });
      await page.goto(`file://${join(folder, 'bench.html')}`);
      assert.is(requests.length, 1);
      assert.equal(complaints, []);
      assert.equal(await page.locator('.summary td').allTextContents(), [
        'ResNet-50, batch 8',
        '39.2',
        '31.4 0.80×',
        '26.1 0.67×',
      ]);
      assert.is(await page.locator('.summary b').textContent(), '39.2', 'the fastest');
      await page.click('nav a >> nth=1');
      assert.match(page.url(), /#s2$/);
      assert.is(await page.locator('#s2 h2').textContent(), 'Operations at batch 8');
      assert.equal(
        [await page.locator('.bars').count(), await page.locator('.chart canvas').count()],
        [2, 1],
      );
      const chart = page.locator('.bars').first();
      for (const text of ['resnode', 'onnxruntime-node', 'torch', 'quiet', 'beside a busy core'])
        assert.ok((await chart.getByText(text, { exact: true }).count()) > 0, text);
      const bars = await chart
        .locator('.bar b')
        .evaluateAll((all) => all.map((each) => each.getBoundingClientRect().width));
      assert.is(bars.length, 6);
      // 40, 32 and 26.7 images per second.
      assert.ok(Math.abs(Math.max(...bars) / [...bars].sort((a, b) => b - a)[1]! - 1.25) < 0.02, `${bars}`);
      assert.is(await page.locator('section table').first().locator('tbody tr').count(), 3);
      assert.match(
        (await page.locator('section table').first().locator('tbody').textContent()) as string,
        /onnxruntime-node.*1\.25/,
      );
      assert.ok((await page.getByText('A <b>processor</b>').count()) > 0);
      assert.match((await page.locator('.problem').textContent())!, /noisy/);
      const width = await page.evaluate<number>('document.documentElement.scrollWidth');
      assert.ok(width <= 390, `the page is ${width} pixels wide`);
    } finally {
      await browser.close();
      rmSync(folder, { recursive: true });
    }
  });

test.run();
