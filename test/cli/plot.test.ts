/** Training logs: resnode's in each form and Caffe's give the same curves, and `resnode plot` draws them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failureOf } from '../../ts/cli/failure.ts';
import { runProgram } from '../../ts/cli/program.ts';
import { readTrainingLog, type TrainingLog } from '../../ts/train/logs/read-training-log.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-plot-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, ...words], { encoding: 'utf8', cwd: folder });

writeFileSync(
  path('net.prototxt'),
  `name: "dummy"
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 2 } shape { dim: 4 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_weight: 0.5 }
`,
);
writeFileSync(
  path('solver.prototxt'),
  `net: "net.prototxt" base_lr: 0.5 lr_policy: "step" stepsize: 4 gamma: 0.1 max_iter: 10 display: 2 test_iter: 1
test_interval: 5 random_seed: 3 snapshot: 10 snapshot_prefix: "dummy" solver_mode: CPU
`,
);
const train = (...words: string[]) => {
  const run = resnode('train', '--solver', 'solver.prototxt', ...words);
  assert.is(run.status, 0, run.stderr);
  return run.stdout;
};
const printed = train('--log', 'log.jsonl', '--report', 'report.html');
train('--log', 'caffe.log', '--log-format', 'caffe');
writeFileSync(path('printed.txt'), printed);

/** What all forms contain: the values of displayed iterations, to the six printed digits. */
function shown({ loss, rate, outputs }: TrainingLog) {
  const round = (values: TrainingLog['loss']) =>
    values.filter(([at]) => at % 2 === 0 && at < 10).map(([at, value]) => [at, Number(value.toPrecision(6))]);
  const tested = outputs.filter(({ net }) => net !== null);
  return {
    loss: round(loss),
    rate: round(rate),
    tests: tested.map(({ name, net, isLoss, values }) => [name, net, isLoss, values.map(([at]) => at)]),
  };
}

test('the three log formats give the same curves', async () => {
  const logs = await Promise.all(
    ['log.jsonl', 'caffe.log', 'printed.txt'].map((name) => readTrainingLog(path(name))),
  );
  const [own, caffe, text] = logs.map(shown);
  assert.is(own!.loss.length, 5);
  assert.equal(own!.tests, [
    ['accuracy', 0, false, [0, 5, 10]],
    ['loss', 0, true, [0, 5, 10]],
  ]);
  assert.equal(caffe, own);
  assert.equal(text, own);
});

// The regular expressions of BVLC's tools/extra/parse_log.py and extract_seconds.py.
test('parse_log.py can read a log in Caffe’s format', () => {
  const lines = readFileSync(path('caffe.log'), 'utf8').trimEnd().split('\n');
  const solving = lines.findIndex((line) => line.includes('Solving'));
  assert.ok(solving > 0);
  const rows = { train: new Set<number>(), test: new Set<number>(), rate: new Set<string>() };
  let iteration = -1;
  for (const line of lines.slice(solving)) {
    const [day, time] = line.trim().split(/\s+/);
    assert.match(day!, /^[IWEF](0[1-9]|1[0-2])\d\d$/, line);
    assert.match(time!, /^\d\d:\d\d:\d\d\.\d{6}$/, line);
    const at = /Iteration (\d+)/.exec(line);
    if (at !== null) iteration = Number(at[1]);
    if (/Train net output #(\d+): (\S+) = ([.\deE+-]+)/.test(line)) rows.train.add(iteration);
    if (/Test net output #(\d+): (\S+) = ([.\deE+-]+)/.test(line)) rows.test.add(iteration);
    const rate = /lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?)/.exec(line);
    if (rate !== null) rows.rate.add(rate[1]!);
  }
  assert.equal([...rows.train], [0, 2, 4, 6, 8]);
  assert.equal([...rows.test], [0, 5, 10]);
  assert.equal(
    [...rows.rate].map(Number).map((rate) => Number(rate.toPrecision(4))),
    [0.5, 0.05, 0.005],
  );
});

const CAFFE = `I0601 10:00:01.000001 77 solver.cpp:279] Solving ResNet
I0601 10:00:02.000001 77 solver.cpp:337] Iteration 0, Testing net (#0)
I0601 10:00:02.000001 77 solver.cpp:404]     Test net output #0: accuracy = 0.125
I0601 10:00:02.000001 77 solver.cpp:337] Iteration 0, Testing net (#1)
I0601 10:00:02.000001 77 solver.cpp:404]     Test net output #0: accuracy = 0.25
I0601 10:00:03.000001 77 solver.cpp:228] Iteration 0 (-nan iter/s, 0s/20 iters), loss = 2.5
I0601 10:00:03.000001 77 solver.cpp:244]     Train net output #0: loss = 2.4 (* 1 = 2.4 loss)
I0601 10:00:03.000001 77 sgd_solver.cpp:106] Iteration 0, lr = 1e-03
I0601 10:00:04.000001 77 solver.cpp:228] Iteration 20 (5.5 iter/s, 4s/20 iters), loss = -nan
I0601 10:00:05.000001 77 solver.cpp:228] Iteration 40, loss = 1.5
I0601 10:00:06.000001 77 solver.cpp:228] Iteration 40, loss = 1.25
`;

test('Caffe’s own logs are read in the old and the new format, with test nets separate and the last run of an iteration', async () => {
  writeFileSync(path('bvlc.log'), CAFFE);
  const { loss, rate, outputs } = await readTrainingLog(path('bvlc.log'));
  assert.equal(loss, [
    [0, 2.5],
    [40, 1.25],
  ]);
  assert.equal(rate, [[0, 0.001]]);
  assert.equal(
    outputs.map(({ name, net, isLoss, values }) => [name, net, isLoss, values[0]![1]]),
    [
      ['accuracy', 0, false, 0.125],
      ['accuracy', 1, false, 0.25],
      ['loss', null, true, 2.4],
    ],
  );
});

test('train --report writes the page and its data', () => {
  assert.match(printed, /^wrote report\.html$/m);
  assert.match(readFileSync(path('report.html'), 'utf8'), /<h2>Loss<\/h2>/);
  const { curves, tests, done } = JSON.parse(readFileSync(path('report.json'), 'utf8'));
  assert.equal([curves.loss.length, tests.length, done.reason], [10, 3, 'finished']);
});

test('plot draws several logs in one page and as SVG, reads a log from stdin, and refuses a file that is no log', async () => {
  const { log } = console;
  let said = '';
  console.log = (line: string) => (said += `${line}\n`);
  await runProgram(['plot', path('log.jsonl'), path('bvlc.log'), '--out', path('both.html'), '--json']);
  await runProgram(['plot', path('log.jsonl'), path('caffe.log'), '--out', path('both.svg')]);
  console.log = log;
  assert.is(JSON.parse(said.split('\n')[0]!).logs.length, 2);
  const page = readFileSync(path('both.html'), 'utf8');
  assert.match(page, /log\.jsonl: training/);
  assert.match(page, /bvlc\.log: accuracy, tested \(net 1\)/);
  const svg = readFileSync(path('both.svg'), 'utf8');
  assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 800 \d+"/);
  assert.not.match(svg, /NaN|undefined|Infinity/);
  assert.ok(svg.split('<path d="M').length > 8);

  const piped = spawnSync(process.execPath, [...COMMAND, 'plot', '-', '--out', 'piped.svg'], {
    input: CAFFE,
    encoding: 'utf8',
    cwd: folder,
  });
  assert.is(piped.stdout, 'piped.svg: Loss; Accuracy and other outputs; Rate\n', piped.stderr);

  const refusal = (...words: string[]) =>
    runProgram(['plot', ...words]).then(
      () => 'taken',
      (error: unknown) => failureOf(error).text ?? '',
    );
  assert.match(await refusal(path('net.prototxt')), /net\.prototxt: it contains no iteration of a training/);
  assert.match(await refusal(path('none.log')), /none\.log: there is no such file/);
  assert.match(await refusal(folder), /resnode: .+/);
  assert.match(
    await refusal(path('log.jsonl'), '--out', path('x.png')),
    /--out: expected .*ends in \.html or \.svg/,
  );
});

test.run();
