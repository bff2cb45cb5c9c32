// What gpu-check would run, in which order and for how long at most, and the size of what travels.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';

export const MOST_BYTES = 64 * 2 ** 20;
const PACKS = [
  ['build/gpu-carry.tar.xz', 'scripts/gpu-check.sh --pack'],
  ['build/gpu-models.tar.xz', 'scripts/gpu-check.sh --pack-models'],
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
    `What travels beside the checkout (${mebibytes(checkoutBytes())} of files), at most ${mebibytes(MOST_BYTES)} a file:`,
    ...PACKS.map(([file, command]) =>
      existsSync(file)
        ? `  ${file}  ${mebibytes(statSync(file).size)}${statSync(file).size > MOST_BYTES ? ': TOO LARGE' : ''}`
        : `  ${file}  not packed yet: ${command}`,
    ),
  ].join('\n');
}

function checkoutBytes() {
  const listed = spawnSync('git', ['ls-files', '-z'], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  const files = listed.status === 0 ? listed.stdout.split('\0').filter((file) => existsSync(file)) : [];
  return files.reduce((sum, file) => sum + (file === '' ? 0 : statSync(file).size), 0);
}
