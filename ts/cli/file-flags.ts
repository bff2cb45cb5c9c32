/** Flags for nets, for the files that commands read and write, and for the sizes of images. */
import { boolean, integer, list, number, oneOf, path } from '../base/kinds.ts';
import { type Option, optional, required } from '../base/options.ts';
import { overwrite } from '../caffe/model-folder.ts';
import { exactSize } from '../images/geometry.ts';
import { onOff, text } from './flag-kinds.ts';

export const fileFlags = {
  model: { flags: '--model <net>', row: required(path, 'The net, or a model folder.') },
  trainedModel: { flags: '--model <net>', row: required(path, 'The training net, with data layers.') },
  modelWithData: { flags: '--model <net>', row: required(path, 'The net, with data layers.') },
  camModel: {
    flags: '--model <net>',
    row: required(path, 'The deploy net; it must end in global average pooling → InnerProduct.'),
  },
  comparedModel: {
    flags: '--model <net>',
    row: optional(path, '', 'Compares this net, layer by layer.'),
  },
  deployModel: { flags: '--model <net>', row: required(path, 'The deploy net, or a model folder.') },
  layers: {
    flags: '--layers <module>',
    row: optional(
      path,
      'none',
      'A JavaScript module whose default export is what registerLayers takes: functions that replace Python layers.',
    ),
  },
  weights: {
    flags: '--weights <caffemodel>',
    row: required(path, 'The weights (.caffemodel or .caffemodel.h5).'),
  },
  weightsOrFillers: {
    flags: '--weights <caffemodel>',
    row: optional(path, 'the fillers', 'The weights (.caffemodel or .caffemodel.h5).'),
  },
  weightsShown: { flags: '--weights <caffemodel>', row: optional(path, '', 'Shows its filters.') },
  labels: {
    flags: '--labels <file>',
    row: optional(path, 'classes by number', 'Class names, one per line.'),
  },
  newLabels: {
    flags: '--labels <file>',
    row: optional(
      path,
      'classes by number',
      'For a list of images: the names of the new classes, one per line. Folders are named for their classes.',
    ),
  },
  idxLabels: {
    flags: '--labels <file>',
    row: optional(path, 'named as the images, with labels-idx1 for images-idx3', 'The labels.'),
  },
  mean: {
    flags: '--mean <file>',
    row: optional(path, '', 'The mean to subtract (.binaryproto, or .npy in B,G,R), or none.'),
  },
  meanFile: {
    flags: '--mean <binaryproto>',
    row: optional(path, "the data set's", 'The mean image to subtract.'),
  },
  meanOfDatabase: {
    flags: '--mean-value <list>',
    row: optional(
      list(number(), { of: 'numbers' }),
      '',
      "Instead of --mean: one value per channel, in the database's order.",
    ),
  },
  meanValue: {
    flags: '--mean-value <list>',
    row: optional(
      list(number(), { of: 'numbers' }),
      '',
      'Instead of --mean: one value per channel in the order B,G,R (--order), or one for all; pixels go from 0 to 255.',
    ),
  },
  preprocess: {
    flags: '--preprocess <json>',
    row: optional(
      path,
      'NAME.preprocess.json or preprocess.json beside the model, unless another preprocessing flag is given',
      'Takes all of these settings from a file that `resnode classify --save-preprocess` wrote.',
    ),
  },
  shorterSide: {
    flags: '--shorter-side <n>',
    row: optional(
      integer(1),
      "256/224 of the net's input, 256 for 224",
      'Resizes the shorter side to this, then crops the centre.',
    ),
  },
  resize: {
    flags: '--resize <width>x<height>',
    row: optional(
      exactSize,
      '',
      'Resizes to exactly this size, without keeping the aspect ratio, then crops the centre.',
    ),
  },
  noResize: { flags: '--no-resize', row: optional(boolean, '', 'Does not resize images.') },
  wholeShorterSide: {
    flags: '--shorter-side <n>',
    row: optional(
      integer(1),
      '',
      'Resizes the shorter side to this and keeps the aspect ratio; with --longest-side, to at most this.',
    ),
  },
  longestSide: {
    flags: '--longest-side <n>',
    row: optional(integer(1), '', 'Resizes the longer side to this; with --shorter-side, to at most this.'),
  },
  wholeResize: {
    flags: '--resize <width>x<height>',
    row: optional(exactSize, '', 'Resizes to exactly this size, without keeping the aspect ratio.'),
  },
  pad: {
    flags: '--pad <width>x<height>',
    row: optional(exactSize, '', 'Pads the resized image with the mean to this size.'),
  },
  savePreprocess: {
    flags: '--save-preprocess <json>',
    row: optional(
      path,
      '',
      'Saves the preprocessing; a NAME.preprocess.json beside NAME.prototxt is found automatically.',
    ),
  },
  images: {
    flags: '--images <path...>',
    row: required(
      path,
      'Image files, folders, lists of paths (.txt) or quoted patterns; - reads standard input.',
    ),
  },
  imagesToCompare: {
    flags: '--images <path...>',
    row: optional(
      path,
      'random values, or the input of the dump',
      'Image files, folders, lists of paths (.txt) or quoted patterns; - reads standard input.',
    ),
  },
  labelledImages: {
    flags: '--images <path>',
    row: required(
      path,
      'A folder with a folder per class, a list of "path label" lines, a folder of n01484850_….JPEG, or an LMDB database.',
    ),
  },
  image: {
    flags: '--image <file>',
    row: optional(path, '', 'Shows the activations that this image causes (needs --weights).'),
  },
  outCalibration: { flags: '--out <json>', row: required(path, 'The calibration file to write.') },
  outConverted: {
    flags: '--out <path>',
    row: required(
      path,
      'The file to write, in the format of its extension; a path without an extension is a model folder.',
    ),
  },
  outLmdb: { flags: '--out <lmdb>', row: required(path, 'The folder to write.') },
  outMean: { flags: '--out <binaryproto>', row: required(path, 'The file to write.') },
  outWeights: {
    flags: '--out <caffemodel>',
    row: required(path, 'The weights file to write (.h5: as HDF5).'),
  },
  outFolder: { flags: '--out <folder>', row: optional(path, 'finetuned', 'The model folder to write.') },
  overwrite: { flags: '--overwrite', row: overwrite },
  outTrained: {
    flags: '--out <folder>',
    row: optional(
      path,
      '',
      'Writes the trained net as a model folder: deploy net, weights and preprocessing.',
    ),
  },
  labelsToKeep: {
    flags: '--labels <file>',
    row: optional(path, '', 'With --out: class names, one per line, to copy into the folder.'),
  },
  trainingFolder: {
    flags: '--out <folder>',
    row: required(
      path,
      'The folder to write: deploy, train_val and solver .prototxt, augment.json and README.md.',
    ),
  },
  listArchitectures: {
    flags: '--list',
    row: onOff('Prints the architectures that papers name, instead of writing files.'),
  },
  outPng: {
    flags: '--out <png>',
    row: required(
      path,
      'The picture to write: the part of the image that the net sees, the map over it, the colour scale and a caption; a folder for several images.',
    ),
  },
  outDetections: {
    flags: '--out <folder>',
    row: optional(path, '', 'Writes each image with its boxes, classes and scores drawn on it, as PNG.'),
  },
  outMaps: {
    flags: '--out <folder>',
    row: optional(
      path,
      '',
      'Writes a PNG of the map for each image (classes: with a palette; edges: grey), and NAME-overlay.png with the map over the image.',
    ),
  },
  outNpy: {
    flags: '--out <npy>',
    row: required(path, 'The array to write; the list of images is written beside it, with .txt appended.'),
  },
  outHtml: {
    flags: '--out <html>',
    row: optional(path, 'the name of the prototxt with .html', 'The page to write.'),
  },
  outResult: {
    flags: '--out <json>',
    row: optional(path, '', 'Writes the result and the recipe that produced it.'),
  },
  outRun: {
    flags: '--out <folder>',
    row: required(path, 'The folder for BLOB.f32 and manifest.json.'),
  },
  outPlot: {
    flags: '--out <file>',
    row: optional(path, 'training.html', 'The page (.html), or the charts only (.svg).'),
  },
  title: { flags: '--title <text>', row: optional(text, "the logs' names", 'The heading of the page.') },
  report: {
    flags: '--report <html>',
    row: optional(
      path,
      '',
      'Writes a page with curves, tests and the settings of the training, and its data as .json beside it.',
    ),
  },
  log: {
    flags: '--log <file>',
    row: optional(
      path,
      '',
      'Writes every event, including iterations that are not displayed, as a line of JSON (--log-format).',
    ),
  },
  logFormat: {
    flags: '--log-format <name>',
    row: optional(
      oneOf('json', 'caffe'),
      'json',
      "What --log writes: lines of JSON, or Caffe's lines (glog), which its parse_log.py reads.",
    ),
  },
} satisfies Readonly<Record<string, { readonly flags: string; readonly row: Option }>>;
