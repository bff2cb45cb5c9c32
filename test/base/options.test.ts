/** Tables of options: what they refuse, and the messages. */
import { Readable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../ts/base/errors.ts';
import {
  boolean,
  bytes,
  either,
  integer,
  list,
  nullOr,
  number,
  oneOf,
  record,
  shape,
  string,
} from '../../ts/base/kinds.ts';
import { fields, optional, options, required, Signature } from '../../ts/base/options.ts';
import { location } from '../../ts/base/sources.ts';

interface Options {
  readonly threads?: number;
  readonly phase?: 'TRAIN' | 'TEST';
  readonly stages?: readonly string[];
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly limit?: number | null;
  readonly mean?: 'none' | readonly number[];
}

const open = new Signature('open', {
  kind: optional(oneOf('cpu', 'cuda'), 'cpu', 'Where.'),
  options: optional(
    options<Options>({
      threads: optional(integer(1, 1024), 'all', 'Threads.'),
      phase: optional(oneOf('TRAIN', 'TEST'), 'TEST', 'Phase.'),
      stages: optional(list(string, { of: 'stage names' }), 'none', 'Stages.'),
      shapes: optional(record(shape), 'none', 'Shapes.'),
      limit: optional(nullOr(number({ above: 0 })), 'null', 'Limit.'),
      mean: optional(either(oneOf('none'), list(number())), 'none', 'Mean.'),
    }),
    'none',
    'Options.',
  ),
});

const refusal = (...values: unknown[]): string => messageOf(open, ...values);

function messageOf(signature: Signature, ...values: unknown[]): string {
  try {
    signature.check(...values);
  } catch (error) {
    assert.instance(error, ArgumentError);
    return (error as Error).message;
  }
  return 'taken';
}

test('one sentence lists all errors', () => {
  assert.is(refusal('cpu', { threads: 0 }), 'threads: expected an integer from 1 to 1024, but received 0');
  assert.is(
    refusal('cpu', { shapes: { data: [1, 0] } }),
    'shapes.data[1]: expected a positive integer, but received 0',
  );
  assert.is(refusal('cpu', { limit: 0 }), 'limit: expected a number above 0 or null, but received 0');
  assert.is(refusal('cpu', { mean: [1, 'x'] }), 'mean[1]: expected a number, but received "x"');
});

test('an unknown option is refused with the most similar name', () => {
  assert.match(
    refusal('cpu', { thread: 1 }),
    /the options of open: expected .+, but received "thread"; did you mean "threads"\?/,
  );
  assert.match(refusal('cpu', JSON.parse('{"__proto__": 1}')), /but received "__proto__"/);
  assert.match(refusal('cpu', { toString: 1 }), /but received "toString"/);
});

test('a value that is nearly right is refused with the right one', () => {
  assert.match(refusal('cpu', { phase: 'test' }), /but received "test"; did you mean "TEST"\?/);
  assert.match(
    refusal('cpu', { stages: 'deploy' }),
    /a list of stage names, but .* did you mean \["deploy"\]\?/,
  );
  assert.match(refusal('cuda0'), /did you mean "cuda"\?/);
});

test('an undefined option counts as absent', () => {
  assert.is(refusal(), 'taken');
  assert.is(refusal(undefined, { threads: undefined, limit: null }), 'taken');
});

test("whatever an option's value is, the error is an ArgumentError", () => {
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  const throwing = new Proxy(
    {},
    {
      get: () => {
        throw new Error('trap');
      },
      ownKeys: () => {
        throw new Error('trap');
      },
    },
  );
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  for (const value of [
    Number.NaN,
    Symbol('s'),
    1n,
    cyclic,
    throwing,
    proxy,
    Object.create(null),
    () => {},
    new DataView(new ArrayBuffer(1)),
  ]) {
    assert.match(refusal(value), /^kind: expected "cpu" or "cuda", but received /);
    assert.match(refusal('cpu', { threads: value }), /^threads: expected an integer from 1 to 1024/);
    assert.match(refusal('cpu', { stages: [value] }), /^stages\[0\]: expected a string|that can be read/);
  }
  assert.match(refusal('cpu', throwing), /that can be read/);
});

test('data of a known form may have additional fields', () => {
  const point = new Signature('draw', {
    point: required(fields<{ x: number }>('a point', { x: required(number(), 'X.') }), 'A point.'),
  });
  point.check({ x: 1, y: 2 });
  assert.throws(() => point.check({ y: 2 }), /point\.x: expected a number, but received undefined/);
  assert.throws(() => point.check(), /point: expected a point, but received undefined/);
});

test('a value of no kind is refused with all kinds; the fields of one kind are checked only if the value has some', () => {
  const point = fields<{ x: number }>('a point, { x }', { x: required(number(), 'X.') });
  const draw = new Signature('draw', { where: required(nullOr(either(location, bytes, point)), 'Where.') });
  const all =
    'where: expected a path, a file: URL, a Buffer, a Uint8Array, an ArrayBuffer, a point, { x } or null';
  assert.is(messageOf(draw, 5), `${all}, but received 5`);
  assert.is(messageOf(draw, { y: 1 }), `${all}, but received an object (Object)`);
  assert.is(messageOf(draw, { x: 'a' }), 'where.x: expected a number, but received "a"');
});

test('a stream in place of bytes is refused with the way to read it', () => {
  const decode = new Signature('decode', { image: required(either(location, bytes), 'An image.') });
  for (const stream of [Readable.from(['x']), new ReadableStream()])
    assert.match(
      messageOf(decode, stream),
      /received an object \(Readable(Stream)?\); read the stream first, with buffer\(\) of node:stream\/consumers$/,
    );
});

test('booleans are not strings', () => {
  assert.is(boolean.mistake('false')?.expected, 'true or false');
});

test.run();
