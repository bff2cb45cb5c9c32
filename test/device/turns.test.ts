/**
 * Long work before a net runs lets other work have its turns. The test counts turns, whose number does not fall on a
 * busy machine.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { yielding } from '../../ts/base/yielding.ts';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { fillParameters, lowerNet } from '../../ts/compile/compile.ts';
import { openDevice } from '../../ts/device/device.ts';
import { inHeldMemory, mapFile } from '../../ts/native/host-memory.ts';
import { firstNotFinite } from '../../ts/train/divergence.ts';
import { noise } from '../support/run-program.ts';

/** How many turns setImmediate had meanwhile. */
async function turnsOf(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let running = true;
  const turn = () => {
    turns++;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  await work.finally(() => {
    running = false;
  });
  return turns;
}

const COUNT = 4_000_000;
const net = (filler: string) =>
  readNet(
    `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2000 } } }
     layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
       inner_product_param { num_output: 2000 weight_filler { type: "${filler}" std: 0.01 } } }`,
    { file: 'net' },
  );

for (const filler of ['gaussian', 'xavier', 'positive_unitball'])
  test(`the event loop runs while ${filler} draws 4 million values`, async () => {
    const turns = await turnsOf(fillParameters(lowerNet(net(filler), {}), null, {}));
    assert.ok(turns >= 5, `${turns} turns`);
  });

test('the event loop runs while weights are searched for values that are not finite', async () => {
  const values = noise(4 * COUNT, 1);
  const layers = [{ name: 'ip', type: 'InnerProduct', blobs: [blobFromFloats([4 * COUNT], values)] }];
  // A fast processor searches all of it in a few turns.
  assert.ok((await turnsOf(firstNotFinite({ layers }))) >= 1);
  values[4 * COUNT - 1] = Number.NaN;
  assert.is((await firstNotFinite({ layers }))?.layer, 'ip');
});

test('bytes that native code holds are not copied again, others are', async () => {
  const mapped = mapFile(process.execPath);
  assert.is(await inHeldMemory(mapped, yielding()), mapped);
  const bytes = new Uint8Array(noise(COUNT, 2).buffer);
  const copy = await inHeldMemory(bytes, yielding());
  assert.is.not(copy.buffer, bytes.buffer);
  assert.is(Buffer.compare(copy, bytes), 0);
  assert.is(await inHeldMemory(copy, yielding()), copy);
});

test('weights may change after the net is loaded', async () => {
  for (const kind of ['reference', 'cpu'] as const) {
    await using device = await openDevice(kind, { threads: 1 });
    const values = noise(COUNT, 3);
    const blobs = [blobFromFloats([2000, 2000], values), blobFromFloats([2000], new Float32Array(2000))];
    const weights = { file: '', name: '', layers: [{ name: 'ip', type: 'InnerProduct', blobs }] };
    using model = await device.load({ model: net('constant'), weights });
    const data = noise(2000, 4);
    const first = (await model.run({ data })).ip!.data.slice();
    values.fill(0);
    assert.equal((await model.run({ data })).ip!.data, first);
    assert.ok(first.some((value) => value !== 0));
  }
});

test.run();
