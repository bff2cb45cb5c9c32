/** The page of a report, in a real browser: plots and tables that fit, nothing loaded, nothing executed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { benchPage } from '../../ts/bench/page.ts';
import type { Report, Result } from '../../ts/bench/report.ts';
import { findChromium, startBrowser } from '../support/browser.ts';

const result = (engine: string, milliseconds: number): Result => ({
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
  schema: 'resnode-bench/2',
  date: '2026-11-25T10:00:00.000Z',
  commit: null,
  machine: {
    processor: 'A <b>processor</b>',
    flags: ['avx2'],
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
      },
      {
        name: 'softmax',
        nets: ['1 in ResNet-50'],
        implementation: 'y',
        macs: 0,
        bytes: 8e3,
        milliseconds: [0.1],
      },
    ],
  },
  caffe: [],
};

const chromium = findChromium();
if (chromium !== null)
  test('it shows every engine and operation, fits a phone, and neither runs nor loads anything', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'resnode-page-'));
    const browser = await startBrowser(chromium);
    try {
      writeFileSync(join(folder, 'bench.html'), await benchPage(report));
      const page = await browser.context.newPage();
      const requests: string[] = [];
      page.on('request', (request) => requests.push(request.url()));
      await page.setViewportSize({ width: 390, height: 800 });
      await page.goto(`file://${join(folder, 'bench.html')}`);
      assert.is(requests.length, 1);
      assert.is(await page.locator('script').count(), 0);
      assert.is(await page.locator('figure svg').count(), 3);
      const chart = page.locator('figure svg').first();
      for (const text of ['resnode', 'onnxruntime-node', 'torch', 'quiet', 'beside a busy core'])
        assert.ok((await chart.getByText(text, { exact: true }).count()) > 0, text);
      const bars = await chart
        .locator('.mark-rect path')
        .evaluateAll((paths) => paths.map((path) => path.getBoundingClientRect().width));
      assert.is(bars.length, 6);
      // 40, 32 and 26.7 images a second.
      assert.ok(Math.abs(Math.max(...bars) / [...bars].sort((a, b) => b - a)[1]! - 1.25) < 0.02, `${bars}`);
      assert.is(await page.locator('table').first().locator('tbody tr').count(), 3);
      assert.match(
        (await page.locator('table').first().locator('tbody').textContent()) as string,
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
