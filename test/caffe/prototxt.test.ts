import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PrototxtError } from '../../ts/base/errors.ts';
import { toJson } from '../../ts/caffe/json.ts';
import { printPrototxt } from '../../ts/caffe/print.ts';
import { parseMessage } from '../../ts/caffe/prototxt.ts';
import { upgradeNet, upgradeSolver } from '../../ts/caffe/upgrade.ts';
import { goldenFolder, readJson } from '../support/golden.ts';

interface Entry {
  kind: 'net' | 'solver';
  ok: boolean;
  stage?: string;
  lines?: string[];
}

const golden = goldenFolder();
const typeOf = (entry: Entry) => (entry.kind === 'net' ? 'NetParameter' : 'SolverParameter');

for (const group of golden === null ? [] : ['prototxt', 'syntax', 'upgrade']) {
  const index = readJson<Record<string, Entry>>(join(golden!, group, 'index.json'));
  for (const [name, entry] of Object.entries(index)) {
    const path = join(golden!, group, name);
    const raw = existsSync(`${path}.raw.json`) ? `${path}.raw.json` : `${path}.json`;
    const text = readFileSync(path, 'utf8');
    if (existsSync(raw)) {
      test(`${group}/${name} parses to what Caffe's protobuf reads`, () => {
        const message = parseMessage(typeOf(entry), text, { file: name });
        assert.equal(JSON.parse(JSON.stringify(toJson(typeOf(entry), message))), readJson(raw));
      });
      test(`${group}/${name}: parse(print(x)) equals x`, () => {
        const message = parseMessage(typeOf(entry), text, { file: name });
        const again = parseMessage(typeOf(entry), printPrototxt(message, typeOf(entry)), { file: name });
        assert.equal(toJson(typeOf(entry), again), toJson(typeOf(entry), message));
      });
      test(`${group}/${name} is upgraded as Caffe does`, () => {
        const message = parseMessage(typeOf(entry), text, { file: name });
        const upgrade = entry.kind === 'net' ? upgradeNet : upgradeSolver;
        if (!entry.ok) {
          assert.throws(
            () => upgrade(message),
            (error: unknown) => error instanceof PrototxtError,
          );
          return;
        }
        const expected = readJson<Record<string, unknown>>(`${path}.json`);
        // Caffe derives a missing snapshot_prefix from the file's path. The solver does that, not the format.
        if (!('snapshot_prefix' in message)) delete expected.snapshot_prefix;
        assert.equal(JSON.parse(JSON.stringify(toJson(typeOf(entry), upgrade(message)))), expected);
      });
    } else if (!entry.ok) {
      test(`${group}/${name} is refused with its position`, () => {
        assert.throws(
          () => parseMessage(typeOf(entry), text, { file: name }),
          (error: unknown) => error instanceof PrototxtError,
        );
      });
    }
  }
}

if (golden !== null) {
  const index = readJson<Record<string, Entry>>(join(golden, 'malformed', 'index.json'));
  for (const [name, entry] of Object.entries(index).filter(([, { stage }]) => stage === 'parse')) {
    test(`malformed/${name} is refused on the line that Caffe names`, () => {
      const text = readFileSync(join(golden, 'malformed', name), 'utf8');
      const line = Number(/Parameter: (\d+):/.exec(entry.lines!.join('\n'))![1]);
      try {
        parseMessage(typeOf(entry), text, { file: name });
      } catch (error) {
        assert.instance(error, PrototxtError);
        // Caffe reports the token after an unknown field or a missing value; the field itself may be one line earlier.
        assert.ok(Math.abs((error as PrototxtError).position.line - line) <= 1, (error as Error).message);
        return;
      }
      assert.unreachable('it was accepted');
    });
  }
}

test('an unknown field names the field itself and the nearest known one', () => {
  assert.throws(
    () => parseMessage('NetParameter', 'layer {\n  nmae: "x"\n}', { file: 'net.prototxt' }),
    /^net\.prototxt:2:3: LayerParameter has no field "nmae"; did you mean "name"\?$/,
  );
});

test('hostile nesting gives an error, not a stack overflow', () => {
  for (const text of ['layer{'.repeat(200_000), '['.repeat(1e6), 'net_param{'.repeat(100_000)]) {
    assert.throws(
      () => parseMessage('SolverParameter', text, { file: 'hostile' }),
      (error: unknown) => error instanceof PrototxtError,
    );
  }
});

test('10,000 mutated prototxts give a message or a PrototxtError', () => {
  let seed = 7;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };
  const base =
    'name: "n"\nlayer { name: "c" type: "Convolution" bottom: "d" top: "c" convolution_param { num_output: 0x40 kernel_size: [3, 3] weight_filler < type: \'msra\' std: 1e-3 > } }\n';
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    '<',
    '>',
    ':',
    '"',
    "'",
    '\\',
    '#',
    '\n',
    '-',
    '0x',
    '9',
    '.',
    'e',
    'inf',
    '\u0000',
    '\u00e9',
    ';',
    ',',
  ];
  for (let i = 0; i < 10_000; i++) {
    let text = base;
    for (let k = random(4) + 1; k > 0; k--) {
      const at = random(text.length);
      text = text.slice(0, at) + pieces[random(pieces.length)] + text.slice(at + random(3));
    }
    try {
      parseMessage('NetParameter', text, { file: 'fuzz' });
    } catch (error) {
      if (!(error instanceof PrototxtError)) throw error;
    }
  }
});

test.run();
