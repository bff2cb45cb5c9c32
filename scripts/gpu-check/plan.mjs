// What gpu-check would run, in which order and with which limits, and the size of the packed files.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';

export const MOST_BYTES = 64 * 2 ** 20;
const PACKS = [
  {
    file: 'build/gpu-carry.tar.xz',
    made: '--pack',
    holds: "node, packages, addon, CUDA library, kernel tests, recorded Caffe, an earlier run's tuning cache",
    used: 'tar -xf it in a folder there, then: scripts/gpu-check.sh',
  },
  {
    file: 'build/gpu-models.tar.xz',
    made: '--pack-models',
    holds: 'models/imagenet-resnet18, data/imagenet-samples and their labels, for step accuracy',
    used: 'in the same folder: scripts/gpu-check.sh --second --carried gpu-models.tar.xz',
  },
];
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

export function planText(steps, { only, options }) {
  const line = ({ name, limit, about }) => `  ${name.padEnd(10)} ${String(limit).padStart(4)} s  ${about}`;
  const calls = [
    [1, 'First call', options.limit ?? 560],
    [2, 'Second call (--second)', 150],
  ];
  const blocks = calls.map(([call, title, most]) => {
    const chosen = steps.filter(
      (step) =>
        step.name === 'device' ||
        (step.name === 'build' && options.build) ||
        (only?.includes(step.name) ?? step.call === call),
    );
    const sum = chosen.reduce((total, { limit }) => total + limit, 0);
    return [`${title}: at most ${Math.min(sum, most)} s of ${most} s`, ...chosen.map(line)];
  });
  const others = steps.filter(({ call }) => call === null);
  return [
    ...(only === undefined ? blocks : [blocks[0]]).flatMap((block) => [...block, '']),
    'By name alone (--only):',
    ...others.map(line),
    '',
    `What travels beside the checkout (${mebibytes(checkoutBytes())} of files), each at most ${mebibytes(MOST_BYTES)} together with it:`,
    ...PACKS.flatMap(({ file, made, holds, used }) => [
      existsSync(file)
        ? `  ${file}  ${mebibytes(statSync(file).size)}${statSync(file).size + checkoutBytes() > MOST_BYTES ? ': TOO LARGE' : ''}`
        : `  ${file}  not packed yet: scripts/gpu-check.sh ${made}`,
      `    holds  ${holds}`,
      `    used   ${used}`,
    ]),
  ].join('\n');
}

function checkoutBytes() {
  const listed = spawnSync('git', ['ls-files', '-z'], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  const files = listed.status === 0 ? listed.stdout.split('\0').filter((file) => existsSync(file)) : [];
  return files.reduce((sum, file) => sum + (file === '' ? 0 : statSync(file).size), 0);
}
