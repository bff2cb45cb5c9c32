/** Rules about the text of a file: syntax errors and old forms. */
import { type Message, positionOf } from '../../caffe/message.ts';
import type { Found, Rule } from './rule.ts';

const list = (value: unknown): Message[] => (value ?? []) as Message[];
const PRINT = 'rewrite it in the current form with resnode print';

/** The data layers' parameters that once held the transformation. */
const DATA_PARAMS = ['data_param', 'image_data_param', 'window_data_param'];
const TRANSFORM_FIELDS = ['scale', 'mean_file', 'crop_size', 'mirror'];

function* transformFields({ written }: { written: Message }): Iterable<Found> {
  for (const [form, layers] of [
    ['V1', list(written.layers)],
    ['V2', list(written.layer)],
  ] as const)
    for (const layer of layers)
      for (const name of DATA_PARAMS) {
        const param = layer[name] as Message | undefined;
        for (const field of TRANSFORM_FIELDS) {
          if (param?.[field] === undefined) continue;
          const effect = form === 'V1' ? 'Caffe moves it to transform_param' : 'Caffe ignores it there';
          yield { position: positionOf(param, field), message: `${field} is in ${name}: ${effect}` };
        }
      }
}

function* nvidiaBatchNorms({ written }: { written: Message }): Iterable<Found> {
  for (const layer of list(written.layer)) {
    const param = layer.batch_norm_param as Message | undefined;
    const field = ['scale_bias', 'scale_filler', 'bias_filler'].find((name) => param?.[name] !== undefined);
    if (field !== undefined)
      yield {
        position: positionOf(param, field),
        message: `${field} belongs to NVIDIA's Caffe: BVLC's refuses the file`,
      };
  }
}

export const syntaxRules: readonly Rule[] = [
  {
    name: 'does-not-parse',
    level: 'error',
    on: 'text',
    finds: 'a file that cannot be read as a net or a solver',
    why: "Caffe's text parser (protobuf's text_format.cc) and its upgrades (upgrade_proto.cpp) stop here.",
    fix: 'correct it as the message says',
  },
  {
    name: 'fork-field',
    level: 'error',
    on: 'text',
    finds:
      'a field or enum value of a fork of Caffe (warnings for those that only tune performance, which resnode ignores)',
    why: "BVLC's caffe.proto does not have it, so its parser refuses the whole file.",
    fix: 'remove it, or use the fork that it belongs to',
  },
  {
    name: 'nvidia-batch-norm',
    level: 'warning',
    on: 'net',
    finds: "scale_bias of NVIDIA's BatchNorm, or a filler of it",
    why: "resnode reads it as BatchNorm and Scale; BVLC's caffe.proto has no such field.",
    fix: PRINT,
    check: nvidiaBatchNorms,
  },
  {
    name: 'v0-syntax',
    level: 'warning',
    on: 'net',
    finds: 'layers { layer { … } }, the oldest form',
    why: 'upgrade_proto.cpp upgrades it at every load, and drops fields that do not belong to the type.',
    fix: PRINT,
    check: ({ written }) =>
      list(written.layers).some((layer) => layer.layer !== undefined)
        ? [{ position: positionOf(written, 'layers'), message: 'the net is in the V0 form' }]
        : [],
  },
  {
    name: 'v1-syntax',
    level: 'warning',
    on: 'net',
    finds: 'layers { type: CONVOLUTION … }, the form between V0 and today',
    why: 'upgrade_proto.cpp upgrades it at every load; its types are an enum that knows neither BatchNorm nor Scale.',
    fix: PRINT,
    check: ({ written }) => {
      const layers = list(written.layers);
      return layers.length > 0 && layers.every((layer) => layer.layer === undefined)
        ? [{ position: positionOf(written, 'layers'), message: 'the net is in the V1 form' }]
        : [];
    },
  },
  {
    name: 'legacy-input',
    level: 'note',
    on: 'net',
    finds: 'input with input_dim or input_shape instead of an Input layer',
    why: 'upgrade_proto.cpp (UpgradeNetInput) turns it into a layer named "input"; MSRA\'s files are written so.',
    fix: `${PRINT}, or keep it`,
    check: ({ written }) =>
      written.input === undefined
        ? []
        : [{ position: positionOf(written, 'input'), message: 'the input is declared outside of a layer' }],
  },
  {
    name: 'legacy-transform',
    level: 'warning',
    on: 'net',
    finds: 'scale, mean_file, crop_size or mirror in data_param, image_data_param or window_data_param',
    why: 'They belong to transform_param; upgrade_proto.cpp (UpgradeNetDataTransformation) moves them only in V1 nets; otherwise nothing reads them.',
    fix: 'move it to transform_param',
    check: transformFields,
  },
];
