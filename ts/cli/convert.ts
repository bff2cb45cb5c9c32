/** `resnode convert` */

import { Command } from 'commander';
import { type ConversionCheck, convert as convertFile, pairNames } from '../convert/index.ts';
import type { Preprocess } from '../images/preprocess.ts';
import { flag, needed, off, own } from './flag.ts';
import { type InputShapeFlags, inputShapeOption } from './options.ts';

interface Flags extends InputShapeFlags {
  model?: string;
  out: string;
  outModel?: string;
  overwrite?: boolean;
  merge?: boolean;
  map?: string;
  outputs?: readonly string[];
  check: boolean;
  json?: boolean;
}

export function convert(): Command {
  const command = new Command()
    .argument('<from>', 'the file to read; its content says its format; or a model folder')
    .addOption(needed(own('outConverted')))
    .addOption(own('overwrite'))
    .addOption(flag('convert', 'options.model', '--model <prototxt>'))
    .addOption(flag('convert', 'outputModel', '--out-model <prototxt>'))
    .addOption(flag('convert', 'merge', '--merge'))
    .addOption(flag('convert', 'map', '--map <json>'))
    .addOption(flag('convert', 'outputs', '--outputs <names>'))
    .addOption(off('convert', 'check', '--no-check', 'Does not run source and result on the same inputs.'))
    .addOption(own('json'))
    .addHelpText(
      'after',
      `
Pairs: ${pairNames()}.

A .pth (a state dict; its pickle is read as data, never executed), a .safetensors with torch's names and a Keras .h5 must
hold a ResNet, which is recognised by the names and shapes of its tensors: torchvision's, timm's and transformers' of any
depth and width, CIFAR's, Keras's ResNet50, 101 and 152. What differs without a tensor of its own (a dilated net, timm's resnetaa and
resnetblur) looks like a plain one there: export it as ONNX and convert that. What the input must be is written beside the result as .preprocess.json,
for --preprocess. A .mat holds a net of MatConvNet (DagNN or SimpleNN), with its layers. A .ckpt (or
NAME.ckpt.index beside NAME.ckpt.data-…) holds the variables of a ResNet of tensorflow-resnet or TF-Slim; with --model the net is yours,
its layers named as MSRA's. A .t7 holds a net of Torch7's modules. A whole model
of Keras under other names is the net that its model_config describes. Another .safetensors holds Caffe's blobs, named layer.index, and the net where it was known.

The check runs the first file and the second on the same random inputs and prints the largest difference of their
outputs; an .onnx is run by onnxruntime-node where that is installed. Exit status 1 where they differ by more than
1e-4 of the largest value.

Examples:
  resnode convert ResNet-50-model.caffemodel --out resnet50.onnx --model ResNet-50-deploy.prototxt
  resnode convert resnet50.onnx --out resnet50.caffemodel --out-model resnet50.prototxt
  resnode convert ssd.onnx --out ssd/ --outputs boxes,scores
  resnode convert resnet50.pth --out resnet50/
  resnode convert imagenet-resnet-50-dag.mat --out resnet50/
  resnode convert ResNet-L50.ckpt --out resnet50/
  resnode convert resnet-50.t7 --out resnet50/
  resnode convert resnet50/ --out resnet50.onnx
  resnode convert net.caffemodel --out net.safetensors --model net.prototxt
  resnode convert nvidia.caffemodel --out bvlc.caffemodel --model nvidia.prototxt --out-model bvlc.prototxt
  resnode convert net.caffemodel --out merged.caffemodel --merge --model net.prototxt --out-model merged.prototxt
  resnode convert ImageNet-ResNet50.npz --out tensorpack.caffemodel --model ResNet-50-deploy.prototxt
  resnode convert weights.npz --out net.caffemodel --model net.prototxt --map names.json
  resnode convert mean.binaryproto --out mean.npy`,
    );
  return inputShapeOption(command).action(async (from: string, flags: Flags) => {
    const {
      model,
      outModel: outputModel,
      merge = false,
      map,
      outputs,
      inputShape: inputShapes,
      check,
      overwrite = false,
      json,
    } = flags;
    const result = await convertFile(from, flags.out, {
      merge,
      inputShapes,
      check,
      overwrite,
      ...(map === undefined ? {} : { map }),
      ...(outputs === undefined ? {} : { outputs }),
      ...(model === undefined ? {} : { model }),
      ...(outputModel === undefined ? {} : { outputModel }),
    });
    if (json) console.log(JSON.stringify(result));
    else {
      for (const file of result.files) console.log(`wrote ${file}`);
      if (merge) console.log(`folded ${result.merged} layers into convolutions`);
      for (const note of result.notes) console.log(`note: ${note}`);
      if (result.preprocess !== null) console.log(inputText(result.preprocess));
      if (result.check !== null) console.log(checkText(result.check));
    }
    if (result.check?.ok === false) {
      console.error('resnode: the result differs from its source; do not use it');
      process.exitCode = 1;
    }
  });
}

function inputText({ order = 'BGR', mean }: Preprocess): string {
  return `the net takes ${order}, 0 to 255, minus ${[mean].flat().join(', ')}, as the nets of this source do; the file itself does not say`;
}

function checkText({ compared, source, result, largest }: ConversionCheck): string {
  return `largest difference of ${compared}: ${largest.absolute.toExponential(2)}, ${largest.relative.toExponential(2)} of the largest value (${largest.name}; ${source} against ${result})`;
}
