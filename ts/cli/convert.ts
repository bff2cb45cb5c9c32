/** `resnode convert` */

import { Command } from 'commander';
import { type ConversionCheck, convert as convertFile, extensionsOf, formats } from '../convert/index.ts';
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

const WEIGHTS = formats.filter(({ kind }) => kind === 'weights');

export function convert(): Command {
  const command = new Command()
    .argument('<from>', 'the file to read, whose content determines its format; or a model folder')
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
Reads ${extensionsOf(WEIGHTS)}.
Writes ${extensionsOf(WEIGHTS.filter(({ write }) => write !== undefined))}; the format of the source only with
--merge, or with --out-model, which rewrites an old net. A mean image becomes .npy from .binaryproto, and the reverse.

A .pth (a state dict; its pickle is read as data and never executed), a .safetensors with torch's names and a Keras .h5 must
contain a ResNet, which is recognised by the names and shapes of its tensors: those of torchvision, timm and transformers with any
depth and width, those for CIFAR, and Keras's ResNet50, 101 and 152. Differences without a tensor of their own (a dilated net, timm's
resnetaa and resnetblur) are not visible there: export such a net as ONNX and convert that. The preprocessing of the net's input is
written beside the result as .preprocess.json, for --preprocess. A .mat contains a net of MatConvNet (DagNN or SimpleNN) with its
layers. A .ckpt (or NAME.ckpt.index beside NAME.ckpt.data-…) contains the variables of a ResNet of tensorflow-resnet or TF-Slim; with
--model the net is yours, and its layers have MSRA's names. A .t7 contains a net of Torch7's modules. A whole model of Keras with
other names becomes the net that its model_config describes. Any other .safetensors contains Caffe's blobs, named layer.index, and
the net if it was known.

The check runs source and result on the same random inputs and prints the largest difference of their outputs;
onnxruntime-node runs an .onnx if it is installed. The exit status is 1 if they differ by more than 1e-4 of the largest value.

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
  return `the net takes ${order}, 0 to 255, minus ${[mean].flat().join(', ')}, as is usual for nets of this source; the file itself does not specify it`;
}

function checkText({ compared, source, result, largest }: ConversionCheck): string {
  return `largest difference of ${compared}: ${largest.absolute.toExponential(2)}, ${largest.relative.toExponential(2)} of the largest value (${largest.name}; ${source} against ${result})`;
}
