/**
 * Fine-tunes a net for your own classes: `node finetune.mjs MODEL_FOLDER IMAGES OUT [EPOCHS]`. IMAGES contains a folder of
 * images for each class. OUT becomes a model folder, with which the program classifies an image at the end.
 */
import { openDevice } from 'resnode';
import { loadPreprocess, openClassifier, readModelFolder } from 'resnode/images';
import { finetune } from 'resnode/train';

const [base, images, out, epochs = '10'] = process.argv.slice(2);
if (base === undefined || images === undefined || out === undefined) {
  console.error('usage: node finetune.mjs MODEL_FOLDER IMAGES OUT [EPOCHS]');
  process.exit(2);
}

const { model, weights, preprocess } = readModelFolder(base);
if (typeof preprocess !== 'string') throw new Error(`${base} has no preprocess.json`);
// Images are prepared as they were when the net was trained first. The crop is the net's input.
const { crop: _, ...prepared } = loadPreprocess(preprocess);

// Ctrl-C stops after the current iteration and writes a snapshot.
const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('stopped')));

const device = await openDevice('auto');
const files = { folder: images, model: String(model), weights: String(weights), out };
const options = { device, preprocess: prepared, epochs: Number(epochs), stop: stop.signal };
/** @param {Error} error */
const onBroken = (error) => console.error(`skipped: ${error.message}`);
for await (const event of finetune({ ...files, ...options, onBroken }))
  switch (event.type) {
    case 'split':
      console.log(`${event.classes.join(', ')}: ${event.train} images for training, ${event.val} for validation`);
      break;
    case 'test':
      console.log(`iteration ${event.iteration}: ${event.outputs.map(({ name, values }) => `${name} ${values[0]}`)}`);
      break;
    case 'evaluated': {
      const { top1, images: evaluated } = event.summary;
      console.log(`${top1.correct} of ${evaluated} held-out images right`);
      break;
    }
    case 'stopped':
      console.log(event.snapshot === null ? 'no snapshot' : `to continue: ${event.snapshot.state}`);
      process.exit(130);
      break;
    case 'written':
      console.log(`wrote ${Object.values(event.files).join(', ')}`);
  }

const example = process.env.EXAMPLE;
if (example !== undefined) {
  const classifier = await openClassifier(out, { device });
  const [best] = await classifier.classify(example);
  console.log(`${example}: ${best?.label} ${best?.probability.toFixed(4)}`);
  await classifier.close();
}
device.dispose();
