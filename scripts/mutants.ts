/**
 * `npm run mutants -- [WORD…]`: makes small breaking changes to optimisations, one at a time, in a copy of the tree,
 * and checks whether the tests notice. Every mutant changes the results of some net, so if one survives, a test is
 * missing, and the exit status is 1.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Mutant {
  readonly name: string;
  /** Each edit replaces the only occurrence of `from` in the file. */
  readonly edits: readonly (readonly [file: string, from: string, to: string])[];
}

const mutant = (name: string, ...edits: Mutant['edits']): Mutant => ({ name, edits });

const [SIMPLIFY, CROPS, STRIDES, REWRITE, ORDER] = [
  'simplify',
  'move-crops',
  'move-strides',
  'rewrite',
  'index',
].map((name) => `ts/passes/${name}.ts`) as [string, string, string, string, string];
const [PACK, TRAINING, TRAFFIC] = [
  'ts/compile/pack-weights.ts',
  'ts/gradient/fuse-for-training.ts',
  'ts/gradient/spare-traffic.ts',
] as const;

const MUTANTS: readonly Mutant[] = [
  mutant('drop-identity follows only one Split or Dropout', [
    SIMPLIFY,
    'source.set(id, resolve(inputs[0]!))',
    'source.set(id, inputs[0]!)',
  ]),
  mutant('drop-identity forgets that an output may be an identity', [
    SIMPLIFY,
    'outputs: graph.outputs.map(resolve)',
    'outputs: graph.outputs',
  ]),
  mutant('remove-unused drops a BatchNorm that moves its running sums', [
    SIMPLIFY,
    "node.operation.kind !== 'batchNorm' && ",
    '',
  ]),
  mutant('remove-unused drops a Slice if one of its tops is unused', [
    SIMPLIFY,
    '!node.outputs.some(',
    '!node.outputs.every(',
  ]),
  mutant('move-crops moves a crop of channels', [CROPS, 'return isWhole && isPrivate', 'return isPrivate']),
  mutant('move-crops ignores a second reader of the convolution', [
    CROPS,
    'isWhole && isPrivate(uses, source) && ',
    'isWhole && ',
  ]),
  mutant('move-crops ignores a second reader of the crop', [CROPS, ' || !isPrivate(uses, read!)', '']),
  mutant('move-crops moves a crop behind any operation', [CROPS, 'ALIKE.includes(kind)', "kind !== 'crop'"]),
  mutant('fold-affine loses what was folded earlier', [
    SIMPLIFY,
    '[...operation.affine, ...node.operation.affine]',
    '[...node.operation.affine]',
  ]),
  mutant('fold-affine folds in the wrong order', [
    SIMPLIFY,
    '[...operation.affine, ...node.operation.affine]',
    '[...node.operation.affine, ...operation.affine]',
  ]),
  mutant('fold-affine ignores a second reader', [
    SIMPLIFY,
    ' || !isPrivate(uses, node.inputs[0]!)) return null;\n    const { operation } = before;\n    if (\n',
    ') return null;\n    const { operation } = before;\n    if (\n',
  ]),
  mutant('packing ignores the bias of a folded convolution', [
    PACK,
    "recipe.kind === 'folded-bias' ? recipe.bias : null,\n      source",
    'null,\n      source',
  ]),
  mutant('packing forgets to scale the bias', [PACK, 'bias[c]! * (a?.[c] ?? 1)', 'bias[c]!']),
  mutant('packing ignores eps', [
    'ts/layers/batch-norm.ts',
    'Math.sqrt(variance + eps)',
    'Math.sqrt(variance)',
  ]),
  mutant("packing divides by a BatchNorm's factor of 0", [PACK, 'factor === 0 ? 0 : ', '']),
  mutant('fuse-residual ignores coefficients', [
    SIMPLIFY,
    'operation.coefficients.some((coefficient) => coefficient !== 1) || ',
    '',
  ]),
  mutant('fuse-residual treats products and maxima as sums', [
    SIMPLIFY,
    " || operation.operation !== 'sum'",
    '',
  ]),
  mutant('fuse-residual ignores a second reader', [SIMPLIFY, ' &&\n        isPrivate(uses, id)', '']),
  mutant(
    'fuse-residual adds before the ReLU instead of after it',
    [SIMPLIFY, '        !isActivated(maker.operation) &&\n', ''],
    [ORDER, 'run: fuseResidual }', 'run: fuseRelu }'],
    [ORDER, "ReLU', run: fuseRelu }", "ReLU', run: fuseResidual }"],
  ),
  mutant('fuse-relu drops the negative slope', [
    SIMPLIFY,
    'negativeSlope: node.operation.negativeSlope',
    'negativeSlope: 0',
  ]),
  mutant('fuse-relu ignores a second reader', [
    SIMPLIFY,
    " || !isPrivate(uses, node.inputs[0]!)) return null;\n    const { operation } = before;\n    if (!('relu'",
    ") return null;\n    const { operation } = before;\n    if (!('relu'",
  ]),
  mutant('fuse-relu overwrites a ReLU', [SIMPLIFY, ' || isActivated(operation)', '']),
  mutant('fuse-activation fuses a Clip whose lower bound is not 0', [
    SIMPLIFY,
    'operation.min === 0 && ',
    '',
  ]),
  mutant('fuse-activation drops the upper bound', [
    SIMPLIFY,
    '{ clip: operation.max }',
    '{ clip: Infinity }',
  ]),
  mutant('fuse-activation ignores a second reader', [
    SIMPLIFY,
    " || !isPrivate(uses, node.inputs[0]!)) return null;\n    const { operation } = before;\n    if (operation.kind !== 'conv",
    ") return null;\n    const { operation } = before;\n    if (operation.kind !== 'conv",
  ]),
  mutant('fuse-activation overwrites a ReLU', [
    SIMPLIFY,
    '    if (isActivated(operation)) return null;\n',
    '',
  ]),
  mutant('fuse-activation fuses slopes of another axis', [
    SIMPLIFY,
    'before.axis === 1 || operation.channelShared',
    'before.axis > 0',
  ]),
  mutant('all passes ignore that a value is requested', [REWRITE, ' || asked.has(id)', '']),
  mutant('passes treat a node that reads a value twice as if it read it once', [
    REWRITE,
    'reader!.inputs.indexOf(id) === reader!.inputs.lastIndexOf(id)',
    'reader !== undefined',
  ]),
  mutant('move-strides ignores pads', [STRIDES, ' && pad.every((size) => size === 0)', ' && pad.length > 0']),
  mutant('move-strides ignores kernels', [
    STRIDES,
    'kernel.every((size) => size === 1) && ',
    'kernel.length > 0 && ',
  ]),
  mutant('move-strides ignores readers that are not convolutions', [
    STRIDES,
    "if (operation.kind !== 'convolution' || inputs[0] !== id || inputs[1] === id) return null;",
    "if (operation.kind !== 'convolution') continue;",
  ]),
  mutant('move-strides ignores readers with another stride', [
    STRIDES,
    'if (shared !== null && (shared[0] !== stride[0] || shared[1] !== stride[1])) return null;',
    '',
  ]),
  mutant('move-strides ignores that a value is requested', [STRIDES, ' || this.#uses.asked.has(id)', '']),
  mutant('move-strides forgets the stride of the convolution itself', [
    STRIDES,
    '[operation.stride[0] * stride[0], operation.stride[1] * stride[1]]',
    '[stride[0], stride[1]]',
  ]),
  mutant('move-strides forgets the residual', [
    STRIDES,
    'else this.#pick(maker, source, residual, stride);',
    '',
  ]),
  mutant('move-strides loses the first of two picks', [
    STRIDES,
    '[...(this.#picks.get(node) ?? []), pick]',
    '[pick]',
  ]),
  mutant('training fuses a value that is requested', [TRAINING, ' && !visible.has(id)', '']),
  mutant('training fuses a value with a second reader', [TRAINING, 'readers.get(id) === 1 && ', '']),
  mutant('training forgets propagate_down', [TRAINING, ' && operation.propagateDown === undefined', '']),
  mutant('training drops the negative slope', [
    TRAINING,
    'relu: { negativeSlope: operation.negativeSlope }',
    'relu: { negativeSlope: 0 }',
  ]),
  mutant('training fuses a negative slope', [TRAINING, ' && operation.negativeSlope >= 0', '']),
  mutant('training overwrites a ReLU', [TRAINING, ' || before.relu !== null', '']),
  mutant('training drops the bias of a Scale', [TRAINING, 'bias: operation.bias,', 'bias: null,']),
  mutant('training fuses a Scale of another axis', [TRAINING, 'if (isPerChannel && isFree)', 'if (isFree)']),
  mutant('training overwrites a Scale', [TRAINING, 'if (isPerChannel && isFree)', 'if (isPerChannel)']),
  mutant("sums are computed with a diff that is only part of a BatchNorm's", [
    TRAFFIC,
    'this.#readers.get(id)!.length === 1 && !this.#seeds.has(id)',
    '!this.#seeds.has(id)',
  ]),
  mutant('sums are computed for a BatchNorm that reads none', [
    TRAFFIC,
    '.filter((index) => isOverBatch(operations[index]!))',
    '',
  ]),
  mutant('a sampled diff is used with another stride', [
    TRAFFIC,
    ' || stride[0] !== own[0] || stride[1] !== own[1]',
    '',
  ]),
  mutant('a requested diff is sampled', [TRAFFIC, ' || this.#wanted.has(id)', '']),
];

/**
 * Named tests, then the fuzzer with fewer nets than in `npm test`, on the reference, whose passes are those of all
 * devices.
 */
const CHECKS = {
  'a named test': [
    'test/passes/rewriting.test.ts',
    'test/gradient/differentiate.test.ts',
    'test/compile/pack-weights.test.ts',
  ],
  'random nets': ['test/fuzz/random-nets.test.ts'],
} as const;
const NETS = '120';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** A copy of the files that the checks read, without the CPU's library, so that only the reference is compared. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), 'resnode-mutants-'));
  for (const name of ['ts', 'test', 'scripts', 'examples', 'package.json', 'tsconfig.json'])
    cpSync(join(root, name), join(copy, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(join(copy, 'build/Release'), { recursive: true });
  for (const name of ['resnode.node', '.built'])
    cpSync(join(root, 'build/Release', name), join(copy, 'build/Release', name));
  return copy;
}

function passes(copy: string, files: readonly string[]): boolean {
  return files.every((file) => {
    const { status } = spawnSync(process.execPath, ['--import', 'tsx', join(copy, file)], {
      cwd: copy,
      env: { ...process.env, RESNODE_FUZZ_NETS: NETS },
      // A mutant may loop forever.
      timeout: 600_000,
      stdio: 'ignore',
    });
    return status === 0;
  });
}

function caughtBy(copy: string, { edits }: Mutant): string[] {
  const before = new Map(edits.map(([file]) => [file, readFileSync(join(copy, file), 'utf8')]));
  try {
    for (const [file, from, to] of edits) {
      const text = readFileSync(join(copy, file), 'utf8');
      if (text.split(from).length !== 2)
        throw new Error(`${file} says ${text.split(from).length - 1} times: ${from}`);
      writeFileSync(
        join(copy, file),
        text.replace(from, () => to),
      );
    }
    return Object.entries(CHECKS).flatMap(([name, files]) => (passes(copy, files) ? [] : [name]));
  } finally {
    for (const [file, text] of before) writeFileSync(join(copy, file), text);
  }
}

const words = process.argv.slice(2);
const chosen = MUTANTS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
const copy = copyTree();
try {
  for (const [name, files] of Object.entries(CHECKS))
    if (!passes(copy, files)) throw new Error(`${name} fails without a mutant: ${files.join(', ')}`);
  let survivors = 0;
  for (const each of chosen) {
    const found = caughtBy(copy, each);
    if (found.length === 0) survivors++;
    console.log(
      `${found.length === 0 ? 'SURVIVED' : 'caught  '}  ${each.name}${found.length === 0 ? '' : `: ${found.join(', ')}`}`,
    );
  }
  console.log(`${chosen.length - survivors} of ${chosen.length} mutants caught`);
  process.exitCode = survivors === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true });
}
