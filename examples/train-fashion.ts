/**
 * Trains ResNet-20 on Fashion-MNIST: `npm run train-fashion`, or `npm run train-fashion -- --short`. Another net: `--
 * --architecture preresnet-20`, or `wrn-10-2`.
 */
import { parseArgs } from 'node:util';
import { eventLines, progressLine } from '../ts/cli/training-log.ts';
import { openDevice } from '../ts/index.ts';
import { FULL, findFashion, SHORT, trainFashion } from './fashion-training.ts';

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    architecture: { type: 'string' },
    out: { type: 'string' },
    data: { type: 'string', default: 'build/fashion-mnist' },
    epochs: { type: 'string' },
    rate: { type: 'string' },
    seed: { type: 'string' },
    threads: { type: 'string' },
    device: { type: 'string', default: 'cpu' },
  },
});
const { short, data, epochs, rate, seed, threads, architecture } = values;
const given = Object.fromEntries(
  Object.entries({ epochs, rate, seed }).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, Number(text)]],
  ),
);
const folder = short ? 'build/fashion-short' : 'build/fashion';
const out = values.out ?? (architecture === undefined ? folder : `${folder}-${architecture}`);
const source = findFashion();
if (source === null) process.exit(1);

await using device = await openDevice(
  values.device as 'cpu',
  threads === undefined ? {} : { threads: Number(threads) },
);
const begin = performance.now();
const accuracy = await trainFashion(source, {
  ...(short ? SHORT : FULL),
  ...given,
  ...(architecture === undefined ? {} : { architecture }),
  device,
  out,
  data,
  onEvent: (event) => {
    for (const line of eventLines(event)) console.log(line);
    if (event.type === 'iteration' && !event.display && process.stderr.isTTY)
      process.stderr.write(`\r\x1b[K${progressLine(event)}\r`);
  },
});
const minutes = (performance.now() - begin) / 60_000;
console.log(
  `top-1 ${(100 * accuracy).toFixed(2)}% of the test images, ${minutes.toFixed(1)} minutes in all; ${out}/report.html`,
);
const goal = short ? 0.8 : 0.925;
if (accuracy < goal) {
  console.error(`below the ${100 * goal}% that this recipe is known to reach`);
  process.exitCode = 1;
}
