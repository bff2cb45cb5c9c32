/** `resnode cam` */
import { Command } from 'commander';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { decodeImage } from '../images/decode.ts';
import { camOverlay } from '../images/features/cam-overlay.ts';
import { classActivationMap, findCamTail } from '../images/features/class-activation-map.ts';
import { imageInput } from '../images/features/image-input.ts';
import { readLabels } from '../images/labels.ts';
import { decodingOf, preprocessImage } from '../images/preprocess.ts';
import { flag, needed, own } from './flag.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  openFlagged,
  readFilteredNet,
} from './options.ts';
import { choosePreprocess, limitsOf, type PreprocessFlags, preprocessOptions } from './preprocess-options.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, PreprocessFlags, InputShapeFlags {
  model: string;
  weights: string;
  class?: number;
  labels?: string;
  out: string;
  json?: boolean;
}

export function cam(): Command {
  const command = new Command()
    .argument('<image>', 'the image file')
    .addOption(needed(own('camModel')))
    .addOption(needed(own('weights')))
    .addOption(flag('classActivationMap', 'wanted', '--class <n>'))
    .addOption(own('labels'))
    .addOption(needed(own('outPng')))
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
    async (file: string, flags: Flags) => {
      const net = readFilteredNet(flags.model);
      const tail = findCamTail(graphFromCaffe(net, { batch: 1, inputShapes: flags.inputShape }));
      const labels = flags.labels === undefined ? null : readLabels(flags.labels, tail.classes);
      const chosen = choosePreprocess(flags, flags.model);
      await using device = await openFlagged(flags);
      await using model = await device.load({
        model: net,
        weights: flags.weights,
        ...matchOf(flags),
        outputs: [tail.features, tail.scores],
        batch: 1,
        inputShapes: flags.inputShape,
      });
      const { name, channels, size } = imageInput(model);
      const preprocess = chosen.for(size);
      const decoding = decodingOf(preprocess, limitsOf(flags));
      const image = await decodeImage(file, decoding);
      const pixels = await preprocessImage(image, preprocess, channels);
      const found = await classActivationMap(model, tail, { [name]: pixels }, flags.class);
      const shown = await decodeImage(file, { ...decoding, depth: 8 });
      writeFileAtomically(flags.out, [await camOverlay(shown, preprocess, found.map)]);
      const label = labels?.[found.class] ?? `class ${found.class}`;
      if (flags.json) {
        const { shape, data } = found.map;
        const map = { shape, data: Array.from(data) };
        console.log(JSON.stringify({ out: flags.out, class: found.class, label, score: found.score, map }));
      } else
        console.log(
          `${flags.out}: ${label}, score ${found.score.toFixed(4)}, map ${found.map.shape.join('×')}`,
        );
    },
  );
}
