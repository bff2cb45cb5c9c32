/**
 * Trains a net on for your own classes: `node finetune.mjs MODEL_FOLDER IMAGES OUT [EPOCHS]`. IMAGES holds a folder of images
 * for each class; OUT becomes a model folder, with which an image is classified in the end.
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
// The net is tuned with images that are prepared as they were for its first training; its input is the crop.
const { crop: _, ...prepared } = loadPreprocess(preprocess);

// Ctrl-C ends the iteration under way and leaves a snapshot.
const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('stopped')));

const device = await openDevice('auto');
const files = { folder: images, model: String(model), weights: String(weights), out };
const how = { device, preprocess: prepared, epochs: Number(epochs), stop: stop.signal };
/** @param {Error} error */
const onBroken = (error) => console.error(`left out: ${error.message}`);
for await (const event of finetune({ ...files, ...how, onBroken }))
  switch (event.type) {
    case 'split':
      console.log(`${event.classes.join(', ')}: ${event.train} images for training, ${event.val} for validation`);
      break;
    case 'test':
      console.log(`iteration ${event.iteration}: ${event.outputs.map(({ name, values }) => `${name} ${values[0]}`)}`);
      break;
    case 'evaluated': {
      const { top1, images: judged } = event.summary;
      console.log(`${top1.correct} of ${judged} right that were not trained with`);
      break;
    }
    case 'stopped':
      console.log(event.snapshot === null ? 'nothing was kept' : `to go on: ${event.snapshot.state}`);
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
