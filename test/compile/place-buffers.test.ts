/**
 * The offsets of a plan's buffers (native/core/place-buffers.cc, compiled separately): random lifetimes in, offsets
 * out.
 */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileProgram } from '../support/compiled-program.ts';
import { openNative, ProgramWriter } from '../support/run-program.ts';

interface Lifetime {
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

interface Placement {
  readonly bytes: number;
  readonly separate: number;
  readonly offsets: readonly number[];
}

const program = compileProgram(
  ['test/compile/place-buffers.cc', 'native/core/place-buffers.cc'],
  ['-fsanitize=undefined', '-fno-sanitize-recover=undefined'],
);

/** One line of numbers for each list of lifetimes. */
function answers(lists: readonly (readonly Lifetime[])[], alignment: number): string[] {
  const input = lists
    .map(
      (list) =>
        `${alignment} ${list.length} ${list.map((each) => `${each.bytes} ${each.from} ${each.to}`).join(' ')}`,
    )
    .join('\n');
  const { status, stdout, stderr } = spawnSync(program, { input, encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.is(status, 0, stderr);
  return stdout.trimEnd().split('\n');
}

function place(lists: readonly (readonly Lifetime[])[], alignment: number): Placement[] {
  return answers(lists, alignment).map((line) => {
    const [bytes, separate, ...offsets] = line.split(' ').map(Number);
    return { bytes: bytes!, separate: separate!, offsets };
  });
}

/** The specification, Pisarchyk & Lee (2020), section 5.2: tries the end of every other buffer. */
function bySpecification(list: readonly Lifetime[], alignment: number): Placement {
  const size = (i: number) => Math.ceil(list[i]!.bytes / alignment) * alignment;
  const offsets: number[] = list.map(() => 0);
  const placed: number[] = [];
  const bySize = list.map((_, i) => i).sort((a, b) => list[b]!.bytes - list[a]!.bytes || a - b);
  for (const i of bySize) {
    const beside = placed.filter(
      (j) => list[j]!.from <= list[i]!.to && list[i]!.from <= list[j]!.to && size(j) > 0,
    );
    const candidates = [0, ...beside.map((j) => offsets[j]! + size(j))].sort((a, b) => a - b);
    offsets[i] = candidates.find((at) =>
      beside.every((j) => at + size(i) <= offsets[j]! || offsets[j]! + size(j) <= at),
    )!;
    placed.push(i);
  }
  const ends = list.map((_, i) => offsets[i]! + size(i));
  return {
    bytes: Math.max(0, ...ends),
    separate: list.reduce((sum, _, i) => sum + size(i), 0),
    offsets,
  };
}

let seed = 3;
const random = (below: number) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
};

/** Few or many buffers with short or long lives; some sizes are equal, some huge, and one list is empty. */
const lists: Lifetime[][] = Array.from({ length: 400 }, (_, round) => {
  const [most, longest] = [[5000, 3, 2 ** 40][round % 3]!, [8, 30][round % 2]!];
  return Array.from({ length: random(40) + Math.min(round, 1) }, () => {
    const from = random(30);
    return { bytes: random(most) + 1, from, to: from + random(longest) };
  });
});

for (const alignment of [64, 256]) {
  test(`no two buffers that are alive at once overlap, with offsets at multiples of ${alignment}`, () => {
    place(lists, alignment).forEach(({ offsets }, round) => {
      const list = lists[round]!;
      assert.is(offsets.length, list.length);
      list.forEach((a, i) => {
        assert.is(offsets[i]! % alignment, 0);
        list.slice(0, i).forEach((b, j) => {
          if (a.from > b.to || b.from > a.to) return;
          assert.ok(
            offsets[i]! >= offsets[j]! + b.bytes || offsets[j]! >= offsets[i]! + a.bytes,
            `round ${round}: ${i} and ${j}`,
          );
        });
      });
    });
  });

  test(`the arena holds every buffer, and its size is between the peak of live bytes and the sum of all, at ${alignment}`, () => {
    place(lists, alignment).forEach(({ bytes, separate, offsets }, round) => {
      const list = lists[round]!;
      const size = ({ bytes }: Lifetime) => Math.ceil(bytes / alignment) * alignment;
      const alive = (at: number) =>
        list.reduce((sum, each) => sum + (each.from <= at && at <= each.to ? size(each) : 0), 0);
      const bound = Math.max(0, ...list.map(({ from }) => alive(from)));
      assert.ok(bound <= bytes && bytes <= separate, `round ${round}: ${bound} ${bytes} ${separate}`);
      list.forEach((each, i) => assert.ok(offsets[i]! + each.bytes <= bytes));
    });
  });

  test(`the offsets are those of greedy placement by size, at ${alignment}`, () =>
    place(lists, alignment).forEach((placement, round) =>
      assert.equal(placement, bySpecification(lists[round]!, alignment), `round ${round}`),
    ));
}

test('more bytes than any machine addresses are refused, for one buffer and for several together', () => {
  // The sum of 16,384 of these would be 0 in 64 bits, which would make an empty arena.
  const huge = (bytes: string | number, count: number) =>
    Array.from({ length: count }, () => ({ bytes: bytes as number, from: 0, to: 0 }));
  assert.equal(
    answers([huge('18446744073709551615', 1), huge(2 ** 50, 16384), huge(2 ** 50, 4097)], 64),
    Array(3).fill('device/out-of-memory'),
  );
  assert.is(answers([huge(2 ** 50, 4096)], 64)[0]!.split(' ')[0], String(2n ** 62n));
});

for (const kind of ['reference', 'cpu'] as const)
  test(`a program whose tensors together exceed all memory is refused without overflow: ${kind}`, async () => {
    const device = openNative(kind);
    const writer = new ProgramWriter();
    const inputs = Array.from({ length: 16384 }, () => writer.input([2 ** 24, 2 ** 24], new Float32Array()));
    const options = { precision: 'float32', deterministic: false, tune: false, quantization: null } as const;
    await device.prepare(writer.program([inputs[0]!]), options).then(
      () => assert.unreachable(),
      (error: { code: string }) => assert.is(error.code, 'device/out-of-memory'),
    );
    device.dispose();
  });

test.run();
