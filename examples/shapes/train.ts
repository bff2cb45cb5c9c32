/** `npx tsx examples/shapes/train.ts detect` (or `segment`): trains in about a minute, and draws the results. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openReport } from '../../ts/api/train.ts';
import { eventLines } from '../../ts/cli/training-log.ts';
import { openDevice } from '../../ts/index.ts';
import { drawResults } from './draw-results.ts';
import { trainDetector, trainSegmenter } from './train-shapes.ts';

const [task, out = 'build/shapes'] = process.argv.slice(2);
if (task !== 'detect' && task !== 'segment') {
  console.error('usage: npx tsx examples/shapes/train.ts detect|segment [FOLDER]');
  process.exit(2);
}
mkdirSync(out, { recursive: true });
const report = openReport(join(out, `${task}.html`), task === 'detect' ? 'SSD on shapes' : 'FCN on shapes');
await using device = await openDevice('cpu');
try {
  const options = {
    device,
    out,
    onEvent: (event: Parameters<typeof report.add>[0]) => {
      report.add(event);
      for (const line of eventLines(event)) console.log(line);
    },
  };
  const picture = join(out, `${task}.png`);
  if (task === 'detect') {
    const result = await trainDetector(options);
    const jpeg = await drawResults(picture, result.pictures, { found: result.found });
    console.log(
      `mean average precision on ${result.pictures.length} unseen pictures: ${result.meanPrecision.toFixed(3)}`,
    );
    report.addSection({
      title: 'Pictures that it has not seen',
      rows: [['mean average precision', result.meanPrecision.toFixed(3)]],
      pictures: [{ jpeg, caption: 'red: circles, green: squares, blue: triangles' }],
    });
  } else {
    const result = await trainSegmenter(options);
    const jpeg = await drawResults(picture, result.pictures, { maps: result.maps });
    console.log(
      `mean overlap of classes on ${result.pictures.length} unseen pictures: ${result.meanOverlap.toFixed(3)}`,
    );
    report.addSection({
      title: 'Pictures that it has not seen',
      rows: [['mean overlap of classes', result.meanOverlap.toFixed(3)]],
      pictures: [{ jpeg, caption: 'red: circles, green: squares, blue: triangles' }],
    });
  }
  console.log(picture);
} finally {
  await report.close();
}
