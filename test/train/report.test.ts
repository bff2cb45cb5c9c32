import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../ts/base/errors.ts';
import type { SolverEvent } from '../../ts/train/events.ts';
import { formatDuration } from '../../ts/train/pace.ts';
import { reportCharts } from '../../ts/train/report/charts.ts';
import { Curve } from '../../ts/train/report/curve.ts';
import { ReportCollector } from '../../ts/train/report/data.ts';
import { openReport } from '../../ts/train/report/report.ts';
import { findChromium, startBrowser } from '../support/browser.ts';
import { trainingEvents } from '../support/training-events.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-report-'));

async function reportOf(name: string, events: Iterable<SolverEvent>) {
  const file = join(folder, `${name}.html`);
  const report = openReport(file);
  for (const event of events) report.add(event);
  report.addSection({ title: 'Afterwards', rows: [['ants & <bees>', '94.1%']] });
  const data = await report.close();
  return { data, file, page: readFileSync(file, 'utf8') };
}

test('a curve keeps its means and extremes in bounded memory', () => {
  const curve = new Curve(8);
  for (let x = 0; x < 1000; x++) curve.add(x, x === 500 ? 5000 : x);
  curve.add(1000, Number.NaN);
  const points = curve.points();
  assert.ok(points.length <= 8 && points.length > 4);
  assert.is(Math.max(...points.map(({ high }) => high)), 5000);
  assert.is(points[0]!.low, 0);
  assert.is(points.at(-1)!.x, 999);
  const [first] = points;
  // Of 0 … 127: the buckets have equal counts, a power of two.
  assert.equal([first!.x, first!.mean, first!.high], [127, 63.5, 127]);
  const short = new Curve(8);
  short.add(3, 7);
  assert.equal(short.points(), [{ x: 3, mean: 7, low: 7, high: 7 }]);
});

test('a report has its curves, its results and further sections, and the same as JSON', async () => {
  const { data, file, page } = await reportOf('whole', trainingEvents(2000));
  const titles = [...page.matchAll(/<h2>([^<]*)</g)].map(([, title]) => title);
  assert.equal(titles, [
    'Loss',
    'Accuracy',
    'Rate',
    'Throughput',
    'Waiting for data',
    'Tests',
    'Result',
    'Afterwards',
    'Training',
    'BatchNorm',
    'Snapshots',
  ]);
  assert.is([...page.matchAll(/<div class="chart">/g)].length, 5);
  assert.match(page, /ants &#38; &#60;bees&#62;/);
  assert.match(page, /batch statistics \(phase TRAIN\)<\/th><td>2 layers/);
  assert.not.match(page, /<made up>|https?:\/\/(?!github\.com\/leeoniya\/uPlot )/);
  assert.equal(
    JSON.parse(readFileSync(file.replace('.html', '.json'), 'utf8')),
    JSON.parse(JSON.stringify(data)),
  );
  assert.is(data.tests.length, 10);
  assert.is(data.curves.loss.at(-1)!.x, 1999);
  assert.equal(
    readdirSync(folder).filter((name) => name.startsWith('.')),
    [],
  );
});

test('a section may have a confusion matrix and pictures; no fact of the training is repeated', async () => {
  const file = join(folder, 'sections.html');
  const report = openReport(file, 'ResNet-20 <made up>');
  for (const event of trainingEvents(100)) report.add(event);
  const confusions = {
    labels: ['ant', '<bee>'],
    counts: [
      [7, 3],
      [0, 9],
    ],
  };
  report.addSection({
    title: 'Judged',
    rows: [],
    confusions,
    pictures: [{ jpeg: 'AAAA', caption: 'an <ant>' }],
  });
  const { sections } = await report.close();
  assert.equal(sections[0]!.confusions, confusions);
  const page = readFileSync(file, 'utf8');
  assert.match(
    page,
    /<th scope="row">ant<\/th><td class="right" style="--share:70%">7<\/td><td class="wrong" style="--share:30%">3<\/td>/,
  );
  assert.match(page, /<th scope="row">&#60;bee&#62;<\/th><td class="wrong" style="--share:0%"><\/td>/);
  assert.match(page, /<img src="data:image\/jpeg;base64,AAAA" alt=""><p>an &#60;ant&#62;<\/p>/);
  const tables = page
    .slice(page.indexOf('<main>'))
    .replace(/<script[\s\S]*?<\/script>|<figcaption>.*?<\/figcaption>/g, '');
  for (const fact of ['Nesterov', 'cpu', '25.0 s', 'fashion_iter.caffemodel', 'made up', '512.0', '1.2%'])
    assert.ok(tables.split(fact).length <= 2, `${fact} stands ${tables.split(fact).length - 1} times`);
});

test('training that diverged, ended with an error or never started is still reported', async () => {
  const events = [...trainingEvents(100)];
  const cut = events.slice(0, 9);
  const failed = await reportOf('failed', cut);
  assert.match(failed.page, /ended with an error/);
  assert.not.match(failed.page, /Accuracy/);
  const diverged = await reportOf('diverged', [
    ...cut,
    { ...(cut.at(-1) as SolverEvent & { type: 'iteration' }), iteration: 19, loss: Number.NaN },
    {
      type: 'diverged',
      iteration: 19,
      reason: 'nan',
      loss: Number.NaN,
      layer: 'res2a',
      blob: 'res2a',
      lastSnapshot: null,
      message: 'the loss is NaN from layer "res2a" on',
    },
    { ...(events.at(-1) as SolverEvent & { type: 'done' }), reason: 'diverged' },
  ]);
  assert.match(diverged.page, /the loss is NaN from layer &#34;res2a&#34; on/);
  assert.not.match(diverged.page, /ended with an error/);
  const empty = await reportOf('empty', []);
  assert.match(empty.page, /Nothing was trained/);
  assert.not.match(empty.page, /class="chart"|<script/);
});

test('a loss that falls over a decade has a logarithmic axis, so that its end can be seen, and one that hardly falls does not', () => {
  const axisOf = (last: number) => {
    const loss = [2.3, last].map((mean, x) => ({ x, mean, low: mean, high: mean }));
    const curves = { loss, rate: [], throughput: [], waiting: [] };
    return reportCharts({ ...new ReportCollector().data(), curves })[0]!.y;
  };
  assert.equal(
    [0.05, 0.2, 0.3, 0, -1].map((last) => axisOf(last).log ?? false),
    [true, true, false, false, false],
  );
});

test('a path where no report can be written is refused before training', () => {
  for (const [file, words] of [
    [join(folder, 'report.txt'), 'ends in .html'],
    [join(folder, 'none/report.html'), 'a folder that exists'],
  ] as const)
    assert.throws(
      () => openReport(file),
      (error: unknown) => error instanceof ArgumentError && error.message.includes(words),
    );
});

test('durations are printed in the two relevant units', () => {
  assert.equal([8.44, 59.96, 185, 3599.7, 3720, 86_399].map(formatDuration), [
    '8.4 s',
    '60.0 s',
    '3 min 05 s',
    '1 h 00 min',
    '1 h 02 min',
    '24 h 00 min',
  ]);
});

/**
 * Waits until the charts have followed a new width: their observer is called in a later frame, seconds later on a busy
 * machine. Playwright evaluates from outside what the page's policy would forbid inside.
 */
async function chartsFollow(page: Page, width: number): Promise<void> {
  await page.evaluate(`new Promise((resolve, reject) => {
    const deadline = performance.now() + 30_000;
    const look = () => {
      const fit = innerWidth === ${width} && [...document.querySelectorAll('.chart')].every(
        (chart) => chart.querySelector('.uplot').getBoundingClientRect().width === chart.clientWidth,
      );
      if (fit) resolve();
      else if (performance.now() > deadline) reject(new Error('the charts do not follow the width'));
      else requestAnimationFrame(look);
    };
    look();
  })`);
}

const chromium = findChromium();
if (chromium !== null)
  for (const scheme of ['light', 'dark'] as const)
    test(`in a browser, ${scheme}: there are no errors, and curves have colour and room`, async () => {
      const { file } = await reportOf(scheme, trainingEvents(500));
      const browser = await startBrowser(chromium, scheme);
      try {
        const page = await browser.context.newPage();
        const complaints: string[] = [];
        page.on('console', (message) => complaints.push(message.text()));
        page.on('pageerror', (error) => complaints.push(error.message));
        page.on('request', (request) => {
          if (!/^(file|data):/.test(request.url())) complaints.push(`asks for ${request.url()}`);
        });
        await page.goto(pathToFileURL(file).href);
        for (const width of [1440, 400]) {
          await page.setViewportSize({ width, height: 900 });
          await chartsFollow(page, width);
          const seen = (await page.evaluate(`({
            overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
            widths: [...document.querySelectorAll('canvas')].map((each) => each.getBoundingClientRect().width),
          })`)) as { overflow: number; widths: number[] };
          assert.is(seen.overflow, 0);
          assert.ok(
            seen.widths.length === 5 && seen.widths.every((each) => each > 250 && each <= width),
            `${seen.widths}`,
          );
        }
        // The page's --first colour: red, green, blue, opaque in a little-endian word.
        const first = scheme === 'light' ? 0xffc3571f : 0xffffb58d;
        assert.ok(
          await page.evaluate(`new Uint32Array(document.querySelector('canvas').getContext('2d')
            .getImageData(0, 0, 400, 200).data.buffer).includes(${first})`),
          'the curve is drawn in its colour',
        );
        await page.hover('.u-over >> nth=1');
        const [, underCursor] = await page.locator('.chart >> nth=1').locator('.u-value').allTextContents();
        assert.match(underCursor!, /^\d\d(\.\d+)?%$/, 'the accuracy under the cursor');
        assert.equal(complaints, []);
      } finally {
        await browser.close();
      }
    });

test.run();
