/**
 * The garbage collector frees objects that nobody disposed, late, and with a warning. Runs in processes with
 * --expose-gc.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scriptArguments } from '../support/command.ts';
import { repositoryFolder } from '../support/golden.ts';

const fashion = join(repositoryFolder, 'examples/fashion');
const prelude = (place: (source: string) => string) => `
  import { readdirSync } from 'node:fs';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { openDevice } from ${place('ts/index.ts')};
  const files = { model: ${JSON.stringify(join(fashion, 'deploy.prototxt'))}, weights: ${JSON.stringify(join(fashion, 'model.caffemodel'))} };
  const collect = async () => { for (let i = 0; i < 8; i++) { globalThis.gc(); await sleep(20); } };
  // Finalisers run in later turns, and a device's thread frees in its own time, which takes longer on a busy machine.
  const collectUntil = async (isDone) => { for (let i = 0; i < 100 && !isDone(); i++) await collect(); };
  const threads = () => readdirSync('/proc/self/task').length;
`;

function run(program: string | ((place: (source: string) => string) => string)) {
  const words = scriptArguments(
    (place) => prelude(place) + (typeof program === 'string' ? program : program(place)),
  );
  const child = spawnSync(process.execPath, ['--expose-gc', ...words], {
    encoding: 'utf8',
    cwd: repositoryFolder,
  });
  assert.is(child.status, 0, child.stderr);
  return { result: JSON.parse(child.stdout), stderr: child.stderr };
}

test('a model that nobody disposed is freed when it is collected, with a warning', () => {
  const { result, stderr } = run(`
    const device = await openDevice('cpu');
    await (async () => { const model = await device.load(files); await model.run({ data: new Float32Array(784) }); })();
    const held = device.memory().total;
    await collectUntil(() => device.memory().total === 0);
    console.log(JSON.stringify({ held, after: device.memory().total }));
    device.dispose();
  `);
  assert.ok(result.held > 0);
  assert.is(result.after, 0);
  assert.match(stderr, /RESNODE_LEAK.*was collected without dispose/);
});

test('a buffer that nobody disposed is freed when it is collected, with a warning', () => {
  const { result, stderr } = run(`
    const device = await openDevice('reference');
    await (async () => { await device.buffer({ shape: [1000] }); })();
    const held = device.memory().buffers;
    await collectUntil(() => device.memory().buffers === 0);
    console.log(JSON.stringify({ held, after: device.memory().buffers }));
    device.dispose();
  `);
  assert.equal(result, { held: 4000, after: 0 });
  assert.match(stderr, /RESNODE_LEAK.*a buffer of 4000 bytes on reference was collected without dispose/);
});

test('a model keeps its device alive, and a device its thread', () => {
  const { result } = run(`
    const model = await (async () => (await openDevice('cpu')).load(files))();
    await collect();
    const { prob } = await model.run({ data: new Float32Array(784) });
    model.dispose();
    console.log(JSON.stringify(prob.data.length));
  `);
  assert.is(result, 10);
});

test('so does a trainer', () => {
  const { result } = run(
    (place) => `
    const update = null;
    const { withLoss } = await import(${place('ts/device/plan-training.ts')});
    const { readNetFile } = await import(${place('ts/caffe/net-parameter.ts')});
    const model = withLoss(readNetFile(files.model));
    const trainer = await (async () => (await openDevice('cpu')).train({ model, update }))();
    await collect();
    const { outputs } = await trainer.gradients({ data: new Float32Array(784), label: Float32Array.of(3) });
    trainer.dispose();
    console.log(JSON.stringify(outputs.loss.data.length));
  `,
  );
  assert.is(result, 1);
});

test('a disposed device ends its thread, and so does a collected one', () => {
  const { result } = run(`
    await openDevice('reference').then((device) => device.dispose());
    let before;
    do {
      before = threads();
      await collect();
    } while (threads() !== before);
    for (let i = 0; i < 10; i++) await openDevice('reference').then((device) => device.dispose());
    await collectUntil(() => threads() === before);
    const disposed = threads() - before;
    await (async () => { for (let i = 0; i < 10; i++) await openDevice('reference'); })();
    const open = threads() - before;
    await collectUntil(() => threads() === before);
    console.log(JSON.stringify({ disposed, open, collected: threads() - before }));
  `);
  assert.equal(result, { disposed: 0, open: 10, collected: 0 });
});

test('a disposed device takes its models, trainers and buffers with it, without a warning', () => {
  const { result, stderr } = run(
    (place) => `
    const { withLoss } = await import(${place('ts/device/plan-training.ts')});
    const { readNetFile } = await import(${place('ts/caffe/net-parameter.ts')});
    const device = await openDevice('cpu');
    const codes = await (async () => {
      const model = await device.load(files);
      const trainer = await device.train({ model: withLoss(readNetFile(files.model)), update: null });
      const buffer = await device.buffer({ shape: [1000] });
      const queued = model.run({ data: new Float32Array(784) });
      device.dispose();
      const codeOf = (work) => work().then(() => 'answered', ({ code }) => code);
      return [
        await codeOf(() => queued),
        await codeOf(() => model.run({ data: new Float32Array(784) })),
        await codeOf(() => trainer.gradients({ data: new Float32Array(784), label: Float32Array.of(3) })),
        await codeOf(() => buffer.download()),
        await codeOf(() => device.load(files)),
      ];
    })();
    await collectUntil(() => device.memory().total === 0);
    console.log(JSON.stringify({ codes, after: device.memory().total }));
  `,
  );
  const gone = 'device/disposed';
  assert.equal(result, { codes: ['answered', gone, gone, gone, gone], after: 0 });
  assert.is(stderr, '');
});

test('V8 knows the bytes outside its heap, so that it collects in time without a request', () => {
  const { result } = run(`
    process.removeAllListeners('warning');
    const device = await openDevice('reference');
    const [models, held] = [20, []];
    for (let i = 0; i < models; i++) {
      await device.load({ ...files, batch: 1000 });
      await sleep(1);
      held.push(device.memory().total);
    }
    console.log(JSON.stringify({ one: held[0], most: Math.max(...held) }));
    device.dispose();
  `);
  assert.ok(result.most <= 8 * result.one, JSON.stringify(result));
});

test.run();
