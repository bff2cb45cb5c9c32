/** `resnode view` */

import { basename } from 'node:path';
import { Command } from 'commander';
import { GraphError } from '../base/errors.ts';
import { warn } from '../base/warn.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { filterNet, type NetParameter } from '../caffe/net-parameter.ts';
import { readWeights } from '../caffe/read-weights.ts';
import { namesTwiceWarnings } from '../caffe/weights-warnings.ts';
import { withWrittenBlobs } from '../caffe/written-blobs.ts';
import { readInputShapes } from '../data/read-shapes.ts';
import { imageInput } from '../images/features/image-input.ts';
import { readLabels } from '../images/labels.ts';
import { preprocessFile } from '../images/preprocess.ts';
import { mapFile } from '../native/host-memory.ts';
import { type Description, describeNet } from '../tools/view/describe-net.ts';
import { readNetWithMarks } from '../tools/view/fork-marks.ts';
import { readTimes } from '../tools/view/measured-times.ts';
import type { PagePictures } from '../tools/view/page-data.ts';
import { addActivations, addFilters } from '../tools/view/page-pictures.ts';
import { pageText } from '../tools/view/write-page.ts';
import { flag, own } from './flag.ts';
import { imageSource } from './image-files.ts';
import { netArgument } from './model-folder.ts';
import {
  type DeviceFlags,
  deviceOptions,
  type InputShapeFlags,
  inputShapeOption,
  netState,
  openFlagged,
  type StateFlags,
  stateOptions,
} from './options.ts';
import { limitsOf, type PreprocessFlags, preprocessOf, preprocessOptions } from './preprocess-options.ts';
import { matchOf, type WeightsFlags, weightsOptions } from './weights-options.ts';

interface Flags extends DeviceFlags, WeightsFlags, StateFlags, InputShapeFlags, PreprocessFlags {
  model: string;
  weights?: string;
  image?: string;
  labels?: string;
  time?: string;
  peakGflops?: number;
  bandwidth?: number;
  batch?: number;
  out?: string;
  json?: boolean;
}

export function view(): Command {
  const command = netArgument(new Command())
    .addOption(own('weightsShown'))
    .addOption(own('image'))
    .addOption(own('labels'))
    .addOption(own('times'))
    .addOption(flag('describeNet', 'roofs.gflops', '--peak-gflops <n>'))
    .addOption(flag('describeNet', 'roofs.gigabytes', '--bandwidth <n>'))
    .addOption(flag('describeNet', 'batch', '--batch <n>'))
    .addOption(own('outHtml'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
The page also shows layers that resnode cannot run and fields of Caffe's forks, and marks them.

Example:
  resnode time --model ResNet-50-deploy.prototxt --json > time.json
  resnode view ResNet-50-deploy.prototxt --weights ResNet-50-model.caffemodel --image cat.jpg \\
    --mean ResNet_mean.binaryproto --time time.json --out ResNet-50.html`,
    );
  weightsOptions(command);
  return inputShapeOption(stateOptions(deviceOptions(preprocessOptions(command)))).action(
    async (_: string | undefined, flags: Flags) => {
      const { model: file } = flags;
      if (flags.image !== undefined && flags.weights === undefined)
        return command.error('error: --image needs --weights', { exitCode: 2 });
      const { net: whole, marks } = readNetWithMarks(file);
      const net = filterNet(whole, netState(flags));
      const description = describeNet(net, {
        ...netState(flags),
        file: basename(file),
        inputShapes: await shapesKnown(net, flags.inputShape),
        marks,
        ...(flags.batch === undefined ? {} : { batch: flags.batch }),
        ...(flags.time === undefined ? {} : { times: readTimes(flags.time) }),
        roofs: {
          ...(flags.peakGflops === undefined ? {} : { gflops: flags.peakGflops }),
          ...(flags.bandwidth === undefined ? {} : { gigabytes: flags.bandwidth }),
        },
      });
      for (const { code, message } of namesTwiceWarnings(description.partial.graph.parameters))
        warn(code, message);
      const out = flags.out ?? `${basename(file).replace(/\.(prototxt|pt)$/, '')}.html`;
      const text = pageText(description.data, await picturesOf(net, description, flags));
      writeFileAtomically(out, [text]);
      const { layers, operations } = description.data.totals;
      const problems = description.layers.filter(({ problem }) => problem !== null).length;
      const bytes = Buffer.byteLength(text);
      if (flags.json) console.log(JSON.stringify({ out, bytes, layers, operations, notRunnable: problems }));
      else
        console.log(
          `${out}: ${layers} layers as ${operations} operations${problems === 0 ? '' : `, ${problems} layers that resnode cannot run, or whose shapes are unknown`}, ${Math.ceil(bytes / 1024)} KiB`,
        );
    },
  );
}

async function picturesOf(net: NetParameter, description: Description, flags: Flags): Promise<PagePictures> {
  const order = flags.order === undefined ? {} : { order: flags.order };
  if (flags.weights === undefined) {
    const written = withWrittenBlobs(net, null);
    return written === null ? {} : addFilters(description, written, { ...order, partialWeights: true });
  }
  const weights = await readWeights(flags.weights, mapFile);
  if (flags.image === undefined) return addFilters(description, weights, { ...matchOf(flags), ...order });
  const labels = flags.labels === undefined ? {} : { labels: readLabels(flags.labels) };
  const { graph } = description.partial;
  const shapes = Object.fromEntries(
    graph.inputs.map((id) => [graph.values[id]!.blob, [1, ...graph.values[id]!.shape.slice(1)]]),
  );
  const { name, channels, size } = imageInput({ inputs: shapes });
  const { file, source } = await imageSource(flags.image, '--image');
  const preprocess = preprocessOf(flags, size, flags.model);
  const pixels = await preprocessFile(source, preprocess, channels, { ...limitsOf(flags), name: file });
  const filters = await addFilters(description, weights, {
    ...matchOf(flags),
    ...(preprocess.order === undefined ? {} : { order: preprocess.order }),
  });
  await using device = await openFlagged(flags);
  // Awaits here, because the device closes when this function returns.
  return await addActivations(
    filters,
    description,
    device,
    { [name]: pixels },
    {
      model: net,
      weights,
      ...matchOf(flags),
      ...netState(flags),
      ...labels,
      inputShapes: shapes,
    },
  );
}

// Layers with unknown shapes are drawn with a broken outline, and the page says why.
async function shapesKnown(net: NetParameter, given: Flags['inputShape']) {
  try {
    return await readInputShapes(net, given);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    return given;
  }
}
