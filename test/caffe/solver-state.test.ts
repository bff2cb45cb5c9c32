import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WeightsError } from '../../ts/base/errors.ts';
import { blobFromFloats, toFloat32 } from '../../ts/caffe/blob.ts';
import {
  readSolverState,
  type SolverState,
  saveHdf5SolverState,
  saveSolverState,
} from '../../ts/caffe/solver-state.ts';
import { goldenCases, readFloats, readJson } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-state-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

interface Golden {
  solverstate?: string;
  solverstate_iter: number;
  solverstate_current_step: number;
  solverstate_learned_net: string;
  history: { file: string; shape: number[] }[];
}
const content = (state: SolverState) => ({
  ...state,
  history: state.history.map((blob) => ({ shape: [...blob.shape], values: [...toFloat32(blob)] })),
});
const small: SolverState = {
  iter: 1234,
  learned_net: 'größe/net_iter_1234.caffemodel',
  current_step: 2,
  history: [
    blobFromFloats([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)),
    blobFromFloats([1], Float32Array.of(-0.5)),
  ],
};

for (const group of ['solver', 'train']) {
  for (const golden of goldenCases(group)) {
    const manifest = readJson<Golden>(join(golden, 'manifest.json'));
    if (manifest.solverstate === undefined) continue;
    test(`${group}: ${manifest.solverstate} of Caffe is read with Caffe's values, and both of our formats are read alike`, async () => {
      const state = await readSolverState(join(golden, manifest.solverstate!));
      assert.equal(content(state), {
        iter: manifest.solverstate_iter,
        current_step: manifest.solverstate_current_step,
        learned_net: manifest.solverstate_learned_net,
        history: manifest.history.map(({ file, shape }) => ({
          shape,
          values: [...readFloats(join(golden, file))],
        })),
      });
      await saveSolverState(path('again.solverstate'), state);
      // The same fields in another order, so the length is the same.
      assert.is(statSync(path('again.solverstate')).size, statSync(join(golden, manifest.solverstate!)).size);
      assert.equal(content(await readSolverState(path('again.solverstate'))), content(state));
      await saveHdf5SolverState(path('again.solverstate.h5'), state);
      assert.equal(content(await readSolverState(path('again.solverstate.h5'))), content(state));
    });
  }
}

test('both formats keep all values', async () => {
  await saveSolverState(path('small.solverstate'), small);
  await saveHdf5SolverState(path('small.solverstate.h5'), small);
  for (const name of ['small.solverstate', 'small.solverstate.h5'])
    assert.equal(content(await readSolverState(path(name))), content(small), name);
});

test('the HDF5 format has the types that Caffe reads: int, a C string with its zero, float', async () => {
  await saveHdf5SolverState(path('types.solverstate.h5'), small);
  const { File, ready } = await import('h5wasm/node');
  await ready;
  const file = new File(path('types.solverstate.h5'), 'r');
  const of = (name: string) => {
    const { shape, dtype } = file.get(name) as { shape: number[]; dtype: string };
    return [shape, dtype];
  };
  assert.equal(of('iter'), [[1], '<i']);
  assert.equal(of('current_step'), [[1], '<i']);
  assert.equal(of('learned_net'), [[], `S${Buffer.byteLength(small.learned_net) + 1}`]);
  assert.equal(of('history/0'), [[2, 3], '<f']);
  file.close();
});

test('a file that is no state, is truncated or is damaged is refused with the file and the reason', async () => {
  const refused = async (name: string, words: RegExp) => {
    try {
      await readSolverState(path(name));
    } catch (error) {
      assert.instance(error, WeightsError, String(error));
      assert.match((error as Error).message, words);
      assert.match((error as Error).message, name);
      return;
    }
    assert.unreachable(`${name} was taken`);
  };
  await saveSolverState(path('whole'), small);
  await saveHdf5SolverState(path('whole.h5'), small);
  const [binary, hdf5] = [readFileSync(path('whole')), readFileSync(path('whole.h5'))];
  writeFileSync(path('cut'), binary.subarray(0, 60));
  writeFileSync(path('cut.h5'), hdf5.subarray(0, hdf5.length / 2));
  writeFileSync(path('empty'), '');
  writeFileSync(path('net.caffemodel'), Buffer.from([0x0a, 3, 0x6e, 0x65, 0x74]));
  await refused('none', /there is no such file or folder/);
  await refused('cut', /truncated/);
  await refused('cut.h5', /damaged/);
  await refused('empty', /an empty file; here a solver state .* is needed/);
  await refused('net.caffemodel', /give the \.solverstate beside/);
  const { File, ready } = await import('h5wasm/node');
  await ready;
  new File(path('other.h5'), 'w').close();
  await refused('other.h5', /no \/iter and \/history/);
});

test('a state that cannot be written leaves the old one intact', async () => {
  await saveSolverState(path('kept'), small);
  const before = readFileSync(path('kept'));
  const broken = { ...small, history: [{ ...small.history[0]!, bytes: new Uint8Array(3) }] };
  for (const save of [saveSolverState, saveHdf5SolverState]) {
    copyFileSync(path('kept'), path('target'));
    let failed = false;
    await save(path('target'), broken).catch(() => {
      failed = true;
    });
    assert.ok(failed);
    assert.equal(readFileSync(path('target')), before);
  }
});

test.run();
