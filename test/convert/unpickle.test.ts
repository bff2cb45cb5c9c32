/** CPython's pickles (fixtures/make_torch.py) in protocols 0 to 5 are read as data. Code is refused by name. */
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WeightsError } from '../../ts/base/errors.ts';
import { seededRandom } from '../../ts/base/random.ts';
import { storageOf, torchGlobals } from '../../ts/convert/torch/torch-objects.ts';
import { type PickleValue, unpickle } from '../../ts/convert/torch/unpickle.ts';
import { readJson, repositoryFolder } from '../support/golden.ts';

type ByProtocol = Record<string, string>;
const pickles = readJson<Record<'data' | 'bytes' | 'system' | 'eval', ByProtocol>>(
  join(repositoryFolder, 'test/convert/fixtures/pickles.json'),
);
const options = { file: 'a.pth', globals: torchGlobals, persistent: storageOf };
const load = (bytes: Uint8Array): PickleValue => unpickle(bytes, options).value;
const text = (pickle: string) => Buffer.from(pickle, 'latin1');

const shared = ['once'];
const data = new Map<PickleValue, PickleValue>(
  Object.entries({
    none: null,
    booleans: [true, false],
    small: [0, 1, 255, 256, 65535, 65536, -1, -(2 ** 31), 2 ** 31],
    large: [2n ** 53n, -(2n ** 63n), 2n ** 80n],
    float: [0.5, -1e300],
    text: ['', "a'\\\n\u00e9\u20ac", 'b'.repeat(300)],
    tuples: [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]],
    nested: new Map([['x', new Map([['y', [[]]]])]]),
    shared: [shared, shared],
    ordered: new Map([
      ['z', 1],
      ['a', 2],
    ]),
  } as unknown as Record<string, PickleValue>),
);

for (const [protocol, encoded] of Object.entries(pickles.data))
  test(`protocol ${protocol} gives the same data`, () => {
    const bytes = Buffer.from(encoded, 'base64');
    const { value, end } = unpickle(bytes, options);
    assert.equal(value, data);
    assert.is(end, bytes.length);
    const [first, second] = (value as Map<string, PickleValue[]>).get('shared')!;
    assert.is(first, second);
  });

test('protocols 4 and 5 have bytes and sets', () => {
  for (const encoded of Object.values(pickles.bytes)) {
    const [bytes, set] = load(Buffer.from(encoded, 'base64')) as [Uint8Array, Set<number>];
    assert.equal([...bytes], [0, 255]);
    assert.equal([...set], [1, 2]);
  }
});

function refusal(bytes: Uint8Array): WeightsError {
  try {
    load(bytes);
  } catch (error) {
    assert.instance(error, WeightsError);
    return error as WeightsError;
  }
  return assert.unreachable('it was read') as never;
}

test('a call of os.system or eval is refused by name in every protocol', () => {
  for (const encoded of Object.values(pickles.system)) {
    const { code, message } = refusal(Buffer.from(encoded, 'base64'));
    assert.is(code, 'torch/global');
    assert.match(message, /^a\.pth: its pickle refers to posix\.system, which is code: .*state_dict/);
  }
  for (const encoded of Object.values(pickles.eval))
    assert.match(
      refusal(Buffer.from(encoded, 'base64')).message,
      /refers to (?:__builtin__|builtins)\.eval,/,
    );
});

test('nothing bypasses the list of allowed names: other opcodes, names with dots, attributes, prototypes', () => {
  for (const [pickle, message] of [
    ["(S'echo'\nios\nsystem\n.", /refers to os\.system/],
    ["(cos\nsystem\nS'echo'\no.", /refers to os\.system/],
    ['\x8c\x02os\x8c\x06system\x93.', /refers to os\.system/],
    ['ctorch\nload\n.', /refers to torch\.load/],
    ['ctorch.storage\n_load_from_bytes\n.', /refers to torch\.storage\._load_from_bytes/],
    ['ctorch\nconstructor\n.', /refers to torch\.constructor/],
    ['ctorch\n__proto__\n.', /refers to torch\.__proto__/],
    [
      'ctorch._utils\n_rebuild_tensor_v2.__globals__\n.',
      /refers to torch\._utils\._rebuild_tensor_v2\.__globals__/,
    ],
    ['cconstructor\nconstructor\n.', /refers to constructor\.constructor/],
    ['ctorch\nFloatStorage\n)R.', /torch\.FloatStorage cannot be called/],
    ['N)R.', /a value cannot be called/],
    ['(dS"call"\nNs)R.', /a value cannot be called/],
    ['\x82\x01.', /extension registry/],
    ['N\x97.', /buffers outside the pickle/],
    ['Pid\n.', /a persistent id: expected a tuple/],
  ] as const)
    assert.match(refusal(text(pickle)).message, message, JSON.stringify(pickle));
});

test('an object keeps its items; its attributes are dropped', () => {
  const pickle = "ccollections\nOrderedDict\n)R(S'a'\nI1\nu}(S'_metadata'\nNub.";
  assert.equal(load(text(pickle)), new Map([['a', 1]]));
});

test('a tensor must be inside its storage, and cannot be larger than it', () => {
  const tensor = (rest: string) =>
    text(
      `ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI6\ntQ${rest}I00\nNtR.`,
    );
  load(tensor('I0\n(I2\nI3\nt(I3\nI1\nt'));
  for (const [rest, message] of [
    ['I1\n(I2\nI3\nt(I3\nI1\nt', /a tensor of 2×3 is not within its storage of 6 values/],
    ['I0\n(I2\nI3\nt(I4\nI1\nt', /is not within/],
    ['I0\n(I1000000000\nI1000000000\nt(I0\nI0\nt', /is not within/],
    ['I0\n(I-1\nI3\nt(I3\nI1\nt', /a dimension is not a natural number/],
    ['I0\n(I2\nt(I3\nI1\nt', /a shape and as many strides/],
    ['I0\nNN', /a shape and as many strides/],
  ] as const)
    assert.match(refusal(tensor(rest)).message, message);
});

test('damage and lengths beyond the file give an error with the position', () => {
  for (const [pickle, message] of [
    ['', /at byte 0: 1 bytes are needed, 0 are left/],
    ['X\xff\xff\xff\x7fabc', /at byte 0: 2147483647 bytes are needed, 3 are left/],
    ['\x8e\xff\xff\xff\xff\xff\xff\xff\xff', /18446744073709552000 bytes are needed/],
    ['NN?.', /at byte 2: the opcode "\?" is not known/],
    ['.', /the stack has no value/],
    ['t.', /the stack has no mark/],
    ['h\x07.', /nothing was stored under 7/],
    ['Na.', /the stack has no value/],
    ['NNa.', /appended to something that is not a list/],
    ['\x80\x09.', /protocol 9 is unknown/],
    ['Ix\n.', /"x" is not an integer/],
    ['I5', /a line has no end/],
  ] as const)
    assert.match(refusal(text(pickle)).message, message, JSON.stringify(pickle));
});

test('random changes of a pickle give a typed error or data', () => {
  const random = seededRandom(5);
  for (const encoded of Object.values(pickles.data))
    for (let i = 0; i < 300; i++) {
      const bytes = Buffer.from(encoded, 'base64');
      for (let hits = 0; hits <= i % 4; hits++)
        bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      try {
        load(bytes);
      } catch (error) {
        assert.instance(error, WeightsError, `${String(error)} of ${bytes.toString('base64')}`);
      }
    }
});

test.run();
