/** `resnode cam` */
import { basename, join } from 'node:path';
import { Command } from 'commander';
import { makeFolder } from '../base/files.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { decodeImage } from '../images/decode.ts';
import { camPicture } from '../images/features/cam-picture.ts';
import { classActivationMap, findCamHead } from '../images/features/class-activation-map.ts';
import { imageInput } from '../images/features/image-input.ts';
import { readLabels } from '../images/labels.ts';
import { decodingOf, preprocessImage } from '../images/preprocess.ts';
import { BrokenImages } from './broken-images.ts';
import { flag, needed, own } from './flag.ts';
import { IMAGES, imageSources } from './image-files.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  readFilteredNet,
} from './options.ts';
import { numberedName } from './picture-names.ts';
import { choosePreprocess, limitsOf, type PreprocessFlags, preprocessOptions } from './preprocess-options.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, PreprocessFlags, InputShapeFlags {
  model: string;
  weights: string;
  class?: number;
  labels?: string;
  out: string;
  skipBroken?: boolean;
  json?: boolean;
}

export function cam(): Command {
  const command = new Command()
    .argument('<image...>', IMAGES)
    .addOption(needed(own('camModel')))
    .addOption(needed(own('weights')))
    .addOption(flag('classActivationMap', 'wanted', '--class <n>'))
    .addOption(own('labels'))
    .addOption(needed(own('outPng')))
    .addOption(own('skipBroken'))
    .addOption(own('jsonWithMap'))
    .addHelpText(
      'after',
      `
Example:
  resnode cam cat.jpg --model ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel \\
    --mean ResNet_mean.binaryproto --out cat-cam.png`,
    );
  weightsOptions(command);
  return inputShapeOption(deviceOptions(preprocessOptions(command))).action(
    async (words: string[], flags: Flags) => {
      const sources = await imageSources(words, 'the images');
      const isFolder = sources.length > 1;
      const broken = new BrokenImages(flags);
      const net = readFilteredNet(flags.model);
      const head = findCamHead(graphFromCaffe(net, { batch: 1, inputShapes: flags.inputShape }));
      const labels = flags.labels === undefined ? null : readLabels(flags.labels, head.classes);
      const chosen = choosePreprocess(flags, flags.model);
      await using device = await openFlagged(flags);
      await using model = await device.load({
        model: net,
        weights: flags.weights,
        ...matchOf(flags),
        outputs: [head.features, head.scores],
        batch: 1,
        inputShapes: flags.inputShape,
      });
      const { name, channels, size } = imageInput(model);
      const preprocess = chosen.for(size);
      if (isFolder) makeFolder(flags.out);
      for (const [i, { file, source }] of sources.entries()) {
        const decoding = { ...decodingOf(preprocess, limitsOf(flags)), name: file };
        const image = await broken.guard(decodeImage(source, decoding));
        if (image === null) continue;
        const pixels = await broken.guard(preprocessImage(image, preprocess, channels));
        if (pixels === null) continue;
        const found = await classActivationMap(model, head, { [name]: pixels }, flags.class);
        const shown = await decodeImage(source, { ...decoding, depth: 8 });
        const out = isFolder ? join(flags.out, `${numberedName(file, i)}.png`) : flags.out;
        const label = labels?.[found.class] ?? `class ${found.class}`;
        const caption = `${basename(file)}: ${label}, score ${found.score.toFixed(4)}`;
        writeFileAtomically(out, [await camPicture(shown, preprocess, found.map, caption)]);
        const { shape, data } = found.map;
        const map = { shape, data: Array.from(data) };
        console.log(
          flags.json
            ? JSON.stringify({ file, out, class: found.class, label, score: found.score, map })
            : `${out}: ${label}, score ${found.score.toFixed(4)}, map ${shape.join('×')}`,
        );
      }
      broken.end(sources.length);
    },
  );
}
