/** Classifies real images with a real trained ResNet-20: `npm run demo`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeImage, loadPreprocess, preprocessImage, readLabels } from '../ts/api/images.ts';
import { openDevice } from '../ts/index.ts';

const folder = fileURLToPath(new URL('fashion', import.meta.url));
const labels = readLabels(join(folder, 'labels.txt'));
const preprocess = loadPreprocess(join(folder, 'preprocess.json'));
const rows = readFileSync(join(folder, 'images/truth.tsv'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => line.split('\t'));
const truths = new Map(
  rows
    .filter(([file]) => file!.endsWith('.png'))
    .map((row) => [
      row[0]!,
      row.find((cell, i) => i > 0 && labels.includes(cell)) ?? labels[Number(row[1])]!,
    ]),
);
const elapsed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
  const start = performance.now();
  return [await work(), performance.now() - start];
};

using device = await openDevice('cpu');
const [model, loading] = await elapsed(() =>
  device.load({ model: join(folder, 'deploy.prototxt'), weights: join(folder, 'model.caffemodel') }),
);
let [decoding, running, right] = [0, 0, 0];
console.log(`${'file'.padEnd(10)} ${'top classes'.padEnd(48)} truth`);
for (const [file, truth] of truths) {
  const [data, decodeTime] = await elapsed(async () =>
    preprocessImage(await decodeImage(join(folder, 'images', file)), preprocess, 1),
  );
  const [{ prob }, runTime] = await elapsed(() => model.run({ data }));
  decoding += decodeTime;
  running += runTime;
  const order = labels.map((_, i) => i).sort((a, b) => prob!.data[b]! - prob!.data[a]!);
  const hit = labels[order[0]!] === truth;
  right += Number(hit);
  const shown = order
    .slice(0, 2)
    .map((i) => `${labels[i]} ${prob!.data[i]!.toFixed(3)}`)
    .join(', ');
  console.log(`${file.padEnd(10)} ${shown.padEnd(48)} ${truth}${hit ? '' : '  (wrong)'}`);
}
model.dispose();
console.log(
  `\nload ${loading.toFixed(0)} ms, decode ${(decoding / truths.size).toFixed(1)} ms and run ${(running / truths.size).toFixed(1)} ms an image`,
);
console.log(`top-1: ${right} of ${truths.size}`);
console.log(
  "\nThe same with MSRA's ResNet-50: npx resnode classify IMAGE.jpg --model ResNet-50-deploy.prototxt \\\n  --weights ResNet-50-model.caffemodel --mean ResNet_mean.binaryproto --labels synset_words.txt",
);
