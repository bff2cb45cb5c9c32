// The steps of gpu-check, the most valuable first. A step has a name, a description, its time limit in seconds, its run
// (1: the first, of at most 560 s; 2: the second, of at most 150 s; null: only if --only names it), the reason why it
// is skipped (null: it is not), and run(context, limit) → { status, reason?, result? }.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { failure, run, tail } from './command.mjs';
import { parityOf, rowsOf } from './rows.mjs';

const KERNEL_TESTS = 'build/gpu/kernel-tests';
const PRECISIONS = ['float32', 'tf32', 'float16', 'bfloat16'];
const node = (...words) => [process.execPath, '--import', 'tsx', ...words];
const cli = (...words) => node('ts/cli/main.ts', ...words);
const ok = (summary, result = {}) => ({ status: 'ok', result: { summary, ...result } });
const failed = (reason, result) => ({ status: 'failed', reason, result });

const lacksModules = () =>
  existsSync('node_modules/tsx') ? null : 'node_modules/tsx is not here (--carried)';
const lacksKernelTests = () =>
  existsSync(KERNEL_TESTS) ? null : `${KERNEL_TESTS} is not here (--build or --carried)`;

async function has(command) {
  return (await run(['sh', '-c', `command -v ${command}`], { limit: 10 })).status === 0;
}

const device = {
  name: 'device',
  about: 'the GPU, its driver, CUDA, cuDNN, and what is checked',
  limit: 30,
  call: 'both',
  async run(context, limit) {
    const lacking = lacksModules();
    if (lacking !== null) return failed(lacking);
    const asked = await run(cli('doctor', '--json'), { limit });
    const diagnosis = JSON.parse(asked.stdout.trim() || 'null');
    if (diagnosis === null) return failed(failure(asked, limit) ?? 'doctor printed nothing');
    const git = await run(['git', 'rev-parse', '--short', 'HEAD'], { limit: 10 });
    const smi = await run(
      ['nvidia-smi', '--query-gpu=name,driver_version,memory.total,clocks.max.sm', '--format=csv,noheader'],
      { limit: 20 },
    );
    // Its version is in a file; importing torch takes 10 s.
    const torch = await run(
      ['python3', '-c', 'import importlib.metadata as of; print(of.version("torch"))'],
      {
        limit: 10,
      },
    );
    const facts = {
      ...Object.fromEntries(diagnosis.findings.map(({ name, found }) => [name, found])),
      'nvidia-smi': smi.status === 0 ? smi.stdout.trim() : 'not here',
      torch: torch.status === 0 ? torch.stdout.trim() : 'not here',
    };
    const carried = 'build/carried/commit';
    const commit =
      git.status === 0 ? git.stdout : existsSync(carried) ? readFileSync(carried, 'utf8') : 'unknown';
    const result = { commit: commit.trim(), facts, findings: diagnosis.findings };
    if (diagnosis.cuda) return ok(facts['CUDA device'], result);
    const driver = diagnosis.findings.find(({ name }) => name === 'NVIDIA driver');
    if (driver?.ok || smi.status === 0) {
      context.noGpu = 'the CUDA device cannot be opened (step device)';
      return failed(`a GPU is here but: ${facts['CUDA device']}`, result);
    }
    context.noGpu = `no GPU: ${facts['NVIDIA driver']}`;
    return { status: 'skipped', reason: context.noGpu, result };
  },
};

const build = {
  name: 'build',
  about: "the CUDA library and the kernel tests, with this machine's nvcc",
  limit: 300,
  call: 'both', // if --build is given
  skip: ({ options }) =>
    !options.build
      ? 'not asked for (--build)'
      : existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidia0')
        ? null
        : 'no NVIDIA driver is here',
  async run(_, limit) {
    const start = performance.now();
    const configure = [
      'cmake',
      '-S',
      '.',
      '-B',
      'build/gpu',
      '-DRESNODE_CUDA_ARCHITECTURES=native',
      '-DRESNODE_KERNEL_TESTS=ON',
    ];
    for (const words of [
      configure,
      ['cmake', '--build', 'build/gpu', '--parallel', '--target', 'resnode_cuda', 'kernel-tests'],
      ['sh', '-c', 'mkdir -p build/Release && cp build/gpu/cuda/libresnode_cuda.so build/Release/'],
    ]) {
      const left = limit - (performance.now() - start) / 1000;
      const why = failure(await run(words, { limit: left }), left);
      if (why !== null) return failed(`${words.slice(0, 3).join(' ')}: ${why}`);
    }
    return ok('built');
  },
};

// The last line of kernel-tests is "12 passed, 0 failed".
const kernelSummary = (stdout) => /\d+ passed, \d+ failed/.exec(stdout)?.[0] ?? 'ended early';
const kernels = {
  name: 'kernels',
  about: 'every kernel against native/reference',
  limit: 15,
  call: 1,
  skip: lacksKernelTests,
  async run(_, limit) {
    const tests = await run([KERNEL_TESTS], { limit });
    const summary = kernelSummary(tests.stdout);
    const failures = tests.stdout.split('\n').filter((line) => line.startsWith('failed '));
    const why = failure(tests, limit);
    return why === null ? ok(summary) : failed(failures[0] ?? why, { summary, failures });
  },
};

// `words`: the arguments of kernel-tests.
const sanitizer = (tool, { limit, call, name = tool, about, words: chosen = [] }) => ({
  name,
  about: about ?? `compute-sanitizer ${tool} on the kernel tests`,
  limit,
  call,
  skip: lacksKernelTests,
  async run(_, allowed) {
    if (!(await has('compute-sanitizer')))
      return { status: 'skipped', reason: 'compute-sanitizer is not here' };
    const words = [
      'compute-sanitizer',
      '--tool',
      tool,
      '--error-exitcode',
      '86',
      '--print-limit',
      '20',
      KERNEL_TESTS,
      ...chosen,
    ];
    const tests = await run(words, { limit: allowed });
    const findings = tests.stdout
      .split('\n')
      .filter((line) => /^=========\s+\S/.test(line) && !/COMPUTE-SANITIZER/.test(line));
    if (/not supported/i.test(tests.stdout + tests.stderr) && tests.status !== 86)
      return { status: 'skipped', reason: `compute-sanitizer: ${tail(tests.stdout)}` };
    const why = failure(tests, allowed);
    const result = { summary: kernelSummary(tests.stdout), findings: findings.slice(0, 40) };
    return why === null ? { status: 'ok', result } : failed(findings[0] ?? why, result);
  },
});

// The tests that do not need the emulated runtime; the recorded nets are a separate step.
const GOLDEN_TESTS = ['golden.test.ts'];
const OTHER_TESTS = [
  'golden-training.test.ts',
  'training.test.ts',
  'trainer.test.ts',
  'precision.test.ts',
  'precision-training.test.ts',
  'dropout.test.ts',
];
const testFiles = ({ files, ...step }) => ({
  ...step,
  skip: lacksModules,
  async run({ options }, limit) {
    const start = performance.now();
    const results = [];
    for (const file of files) {
      const left = Math.max(1, limit - (performance.now() - start) / 1000);
      const environment = { RESNODE_TEST_CUDA: 'hardware', RESNODE_GOLDEN: options.golden };
      const outcome = await run(node(join('test/cuda', file)), { limit: left, environment });
      const [total, passed] = ['Total', 'Passed'].map((word) =>
        Number(new RegExp(`${word}:\\s+(\\d+)`).exec(outcome.stdout)?.[1] ?? 0),
      );
      const skipped = outcome.stdout.split('\n').filter((line) => line.startsWith('skipped:'));
      results.push({ file, total, passed, skipped, reason: failure(outcome, left) });
    }
    const bad = results.find(({ reason }) => reason !== null);
    const summary = results
      .map(({ file, passed, total, skipped }) => [`${file}: ${passed} of ${total}`, ...skipped].join(', '))
      .join(', ');
    return bad === undefined
      ? ok(summary, { results })
      : failed(`${bad.file}: ${bad.reason}`, { summary, results });
  },
});
const goldens = testFiles({
  name: 'goldens',
  about: "the recorded nets of real Caffe on resnode's own kernels",
  limit: 20,
  call: 1,
  files: GOLDEN_TESTS,
});
const tests = testFiles({
  name: 'tests',
  about: "resnode's own kernels without cuDNN: training, and each precision",
  limit: 120,
  call: null,
  files: OTHER_TESTS,
});

// The small cases use the convolutions that are likely to be best: timing the candidates for their thousand shapes
// would take all the time. ResNet-50 runs as in practice, with the fastest ones.
const parity = {
  name: 'parity',
  about: 'every recorded array of real Caffe, at each precision',
  limit: 150,
  call: null,
  skip: ({ options }) =>
    lacksModules() ?? (existsSync(options.golden) ? null : `${options.golden} is not here (--golden)`),
  async run({ options }, limit) {
    const present = (...names) => names.map((name) => join(options.golden, name)).filter(existsSync);
    const small = ['no-tune', ...present('layers', 'mini-resnet', 'rules', 'weights', 'solver', 'train')];
    const start = performance.now();
    const results = {};
    for (const [what, words] of [
      ...PRECISIONS.map((precision) => [precision, [precision, ...small]]),
      ...['float32', 'float16'].map((precision) => [
        `ResNet-50, ${precision}`,
        [precision, 'tune', ...present('recipe/resnet50')],
      ]),
    ]) {
      const left = limit - (performance.now() - start) / 1000;
      if (left < 2) {
        results[what] = parityOf([], 'no time was left');
        continue;
      }
      const outcome = await run(node('bench/gpu/parity.ts', 'cuda', ...words), { limit: left });
      const rows = rowsOf(outcome.stdout);
      const isCompared = outcome.status === 1 && rows.some(({ ok: isWithin }) => !isWithin);
      results[what] = parityOf(rows, isCompared ? null : failure(outcome, left));
    }
    const summary = Object.entries(results)
      .map(
        ([what, { cases, comparisons, beyond, reason }]) =>
          `${what}: ${cases} cases, ${comparisons} comparisons, ${beyond.length} cases beyond${reason === null ? '' : ` (${reason})`}`,
      )
      .join('; ');
    const bad = Object.entries(results).find(
      ([, { reason, beyond }]) => reason !== null || beyond.length > 0,
    );
    return bad === undefined
      ? ok(summary, { results })
      : failed(`${bad[0]}: ${bad[1].beyond[0]?.folder ?? bad[1].reason}`, { summary, results });
  },
};

// bench/gpu/parity.ts, bench/gpu/memory.ts, bench/gpu/accuracy.ts and bench/gpu.ts print a line of JSON per row.
const memory = {
  name: 'memory',
  about: 'device.memory() against the plan and the driver; ResNet-50 at batch 1 in 400 MB',
  limit: 35,
  call: 2,
  skip: lacksModules,
  async run(_, limit) {
    const outcome = await run(node('bench/gpu/memory.ts'), { limit });
    const rows = rowsOf(outcome.stdout);
    const summary = rows.map(({ summary: text }) => text).join('; ');
    const why = failure(outcome, limit);
    return why === null ? ok(summary, { rows }) : failed(why, { summary, rows });
  },
};

const accuracy = {
  name: 'accuracy',
  about: 'the same top class on real photographs at every precision; int8 within one',
  limit: 35,
  call: 2,
  skip: ({ options }) =>
    lacksModules() ??
    (existsSync(join(options.models, 'models/imagenet-resnet18')) &&
    existsSync(join(options.models, 'data/imagenet-samples'))
      ? null
      : `models/imagenet-resnet18 or data/imagenet-samples are not in ${options.models} (--models)`),
  async run({ options }, limit) {
    const outcome = await run(node('bench/gpu/accuracy.ts', options.models), { limit });
    const rows = rowsOf(outcome.stdout);
    const summary = rows.map(({ summary: text }) => text).join('; ');
    const why = failure(outcome, limit);
    return why === null ? ok(summary, { rows }) : failed(why, { summary, rows });
  },
};

const forwardFlags = (options) =>
  ['depths', 'batches', 'precisions', 'peers'].flatMap((name) => [`--${name}`, options[name]]);
const ONE_CASE = ['--depths', '50', '--precisions', 'float16'];

// Runs bench/gpu.ts with these flags; it ends by itself slightly before its limit.
const benchmark = ({ flagsOf, ...step }) => ({
  ...step,
  skip: lacksModules,
  async run({ options }, limit) {
    const flags = [...flagsOf(options), '--limit', String(Math.max(5, Math.floor(limit - 8)))];
    const outcome = await run(node('bench/gpu.ts', ...flags), { limit });
    const all = rowsOf(outcome.stdout);
    const rows = all.filter((row) => 'engine' in row);
    const ceilings = all.find((row) => 'ceilings' in row)?.ceilings;
    const measured = rows.filter(({ imagesPerSecond }) => imagesPerSecond !== undefined).length;
    const apart = rows.filter(({ agrees }) => agrees === false);
    const refused = rows.filter(({ reason }) => reason?.startsWith('not timed'));
    const operations = all.filter((row) => 'operations' in row);
    const result = { summary: `${measured} of ${rows.length} measurements`, ceilings, rows, operations };
    const why =
      failure(outcome, limit) ??
      (measured === 0 ? tail(outcome.stderr) || 'nothing was measured' : null) ??
      (refused.length > 0 ? `${refused[0].engine}: ${refused[0].reason}` : null) ??
      (apart.length > 0 ? `${apart.length} outputs differ from the peer's` : null);
    return why === null ? { status: 'ok', result } : failed(why, result);
  },
});

const operations = {
  name: 'operations',
  about: 'fused operations of ResNet-50 against separate launches and against the Caffe schedule',
  limit: 20,
  call: 1,
  skip: lacksModules,
  async run({ options }, limit) {
    const file = join(options.out, 'steps', 'operations-report.json');
    rmSync(file, { force: true }); // of an earlier check
    const words = ['bench', '--device', 'cuda', '--operations', '--batches', '32', '--out', file];
    const outcome = await run(cli(...words), { limit });
    const why = failure(outcome, limit);
    const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
    const summary = report === null ? 'no report' : `${report.shapes.length} shapes`;
    return why === null ? ok(summary, { report }) : failed(why, { summary, report });
  },
};

export const steps = [
  build,
  device,
  kernels,
  goldens,
  benchmark({
    name: 'training',
    about:
      'a step of ResNet-50 at batch 256 beside torch, compiled first: losses, skipped updates, operations',
    limit: 170,
    call: 1,
    flagsOf: () => ['--train', ...ONE_CASE, '--batches', '256', '--peers', 'compile,amp'],
  }),
  benchmark({
    name: 'forward',
    about: 'ResNet-50 at batches 256, 1, 32 and 8 beside torch with AMP, with the time of each operation',
    limit: 110,
    call: 1,
    flagsOf: () => [...ONE_CASE, '--batches', '256,1,32,8', '--peers', 'amp'],
  }),
  benchmark({
    name: 'compiled',
    about: 'ResNet-50 at batches 256 and 1 beside torch in half precision, compiled',
    limit: 85,
    call: 1,
    flagsOf: () => [...ONE_CASE, '--batches', '256,1', '--peers', 'half', '--no-operations'],
  }),
  benchmark({
    name: 'variants',
    about: "ResNet-50 at batches 256 and 1 on resnode's own kernels alone, for what cuDNN is worth",
    limit: 80,
    call: 1,
    flagsOf: () => [...ONE_CASE, '--batches', '256,1', '--peers', 'none', '--no-cudnn'],
  }),
  benchmark({
    name: 'int8',
    about: "ResNet-50 at batch 256 in int8, to be compared with step forward's float16",
    limit: 30,
    call: 1,
    flagsOf: () => ['--depths', '50', '--precisions', 'int8', '--batches', '256', '--peers', 'none'],
  }),
  operations,
  accuracy,
  memory,
  sanitizer('racecheck', {
    limit: 50,
    call: 2,
    about: 'compute-sanitizer racecheck on the kernel tests that it has not seen (from the 25th on)',
    words: ['--from', '25'],
  }),
  parity,
  tests,
  sanitizer('memcheck', { limit: 90, call: null }),
  benchmark({
    name: 'bench',
    about: 'ResNet-50, 101 and 152 beside torch, timm and JAX, by --depths, --batches, --precisions, --peers',
    limit: 540,
    call: null,
    flagsOf: forwardFlags,
  }),
];
