/** The figures of docs/speed.md come from the recorded reports: no speed is written by hand. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withFigures } from '../../../bench/figures.ts';
import { readmePage, speedPage } from '../../../bench/speed-page.ts';
import type { CaffeTime } from '../../../ts/tools/bench/caffe-time.ts';
import type { Report, Result } from '../../../ts/tools/bench/report.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-figures-'));
test.after(() => rmSync(folder, { recursive: true }));

const { found, expected } = speedPage();
const markers = found.match(/<!-- .*speed-page.* -->/g)!;
const empty = `before\n${markers.join('\n')}\nafter\n`;

test('the page is what `npm run speed-page` writes', () => {
  assert.is(markers.length, 2);
  assert.is(found, expected, 'run `npm run speed-page`');
});

test("so is the README's table", () => {
  const page = readmePage();
  assert.is(page.found, page.expected, 'run `npm run speed-page`');
  assert.match(page.found, /\| onnxruntime-node \| \d/);
});

const result = (engine: string, quiet: number[][], changes: Partial<Result> = {}): Result => ({
  task: 'training',
  engine,
  net: 'CIFAR-20',
  batch: 10,
  macs: 1e9,
  quiet,
  busy: null,
  eventLoop: null,
  firstAnswer: [],
  peakBytes: 5e7,
  ...changes,
});
const time: CaffeTime = {
  iterations: 1,
  forwardBackward: [200],
  layers: [],
  averageForward: 80,
  averageBackward: 119,
  averageForwardBackward: 200,
  device: 'CPU',
};
const operation = { name: 'softmax', nets: [], implementation: 'x', macs: 0, bytes: 5e6, candidates: [] };
const report: Report = {
  schema: 'resnode-bench/3',
  date: '2026-11-25T10:00:00.000Z',
  commit: '0123456789abcdef+',
  machine: {
    processor: 'P',
    flags: ['fma', 'avx2'],
    cores: 2,
    memoryBytes: 1,
    system: 's',
    governor: null,
    load: 0,
  },
  othersCores: { mean: 0.012, max: 0.04 },
  versions: { node: '20.1.0', torch: '2' },
  settings: { threads: 2, precision: 'float32', rounds: 2 },
  sgemmGflops: 100,
  bandwidth: 10,
  absent: [],
  results: [
    result('resnode', [[99, 101, 100], [110]], { firstAnswer: [700] }),
    result('torch', [[150, 150], [150]], { peakBytes: null }),
  ],
  operations: {
    batch: 1,
    times: [
      { ...operation, milliseconds: [1] },
      { ...operation, milliseconds: [2, 2, 9] },
    ],
  },
  caffe: [{ task: 'training', net: 'CIFAR-20', batch: 10, time, recordedOn: null }],
};
const written = (changes: Partial<Report> = {}) => {
  writeFileSync(join(folder, 'a.json'), JSON.stringify({ ...report, ...changes }));
  return withFigures(empty, ['a.json'], pathToFileURL(`${folder}/`));
};

test('a report has its conditions and a row per engine, and no column for what was not measured', () => {
  assert.is(
    written(),
    `before
${markers[0]}

2026-11-25, P with avx2, 2 cores, s;
commit 0123456789 with changes;
2 threads, float32, 2 rounds in turn; node 20.1.0, torch 2;
sgemm 100 GFLOP/s, memory 10.0 GB/s;
other processes took 0.01 cores, 0.04 at worst ([all figures](a.json));
of 2 different operations, each by itself at batch 1, half reach 38% or more of what binds them, sgemm or memory (the least 25%, the most 50%):

|  |  | median ms | medians of the rounds | images/s | × resnode's time | of sgemm | peak MB | disk to first answer, ms |
| --- | --- | --: | --: | --: | --: | --: | --: | --: |
| CIFAR-20, batch 10, training step | resnode | 100.5 | 100.0 to 110.0 | 99.5 | 1.00 | 20% | 50 | 700 |
|  | torch | 150.0 | 150.0 to 150.0 | 66.7 | 1.49 | 13% |  |  |
|  | Caffe (CPU, mean of forward and backward) | 200.0 |  | 50.0 | 1.99 |  |  |  |

${markers[1]}
after
`,
  );
});

test('a manually edited figure is overwritten, and writing twice changes nothing', () => {
  const good = written();
  const again = (text: string) => withFigures(text, ['a.json'], pathToFileURL(`${folder}/`));
  assert.is(again(good), good);
  assert.is(again(good.replace('100.5', '10.5')), good);
  assert.throws(() => again(good.replace(markers[1]!, '')), /expected the lines/);
});

test('steps of a runner that compared no outputs are marked', () => {
  assert.not.match(written(), /not compared/);
  const { schema: _, ...old } = report;
  const steps = report.results.map(({ quiet, ...rest }) => ({ ...rest, rounds: quiet }));
  writeFileSync(
    join(folder, 'a.json'),
    JSON.stringify({ ...old, schema: 'resnode-train-bench/1', results: steps }),
  );
  assert.match(withFigures(empty, ['a.json'], pathToFileURL(`${folder}/`)), /outputs were not compared/);
});

test.run();
