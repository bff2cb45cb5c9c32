/** Rules about nets with an output per pixel: deconvolutions, crops, ignored labels. */
import { positionOf } from '../../caffe/message.ts';
import type { LayerParameter } from '../../caffe/net-parameter.ts';
import { coordinateMaps } from '../../graph/coordinate-map.ts';
import { type Found, type LintNet, type LintState, nameOf, type Rule } from './rule.ts';

interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly group: number;
  readonly outputs: number;
}

/** A square Deconvolution that enlarges planes; null for another layer. */
function upsampling({ type, convolution_param: p }: LayerParameter): Window | null {
  if (type !== 'Deconvolution' || p === undefined) return null;
  const first = (name: string) => (p[name] as readonly number[] | undefined)?.[0];
  const [kernel, stride] = [first('kernel_size'), first('stride') ?? 1];
  if (kernel === undefined || stride < 2) return null;
  const { group = 1, num_output: outputs = 0 } = p as { group?: number; num_output?: number };
  return { kernel, stride, group, outputs };
}

const fillerOf = ({ convolution_param: p }: LayerParameter): string | undefined =>
  (p?.weight_filler as { type?: string } | undefined)?.type;

const rateOf = ({ param }: LayerParameter): number => param?.[0]?.lr_mult ?? 1;

const layersOf = ({ states }: LintNet, isWanted: (state: LintState) => boolean = () => true) =>
  states.filter(isWanted).flatMap((state) => state.layers.map((layer) => ({ state, layer })));

function* unfilled(net: LintNet): Iterable<Found> {
  for (const { layer } of layersOf(net, ({ trains }) => trains)) {
    const filler = fillerOf(layer);
    if (upsampling(layer) === null || filler === 'bilinear' || rateOf(layer) !== 0) continue;
    yield {
      position: positionOf(layer.convolution_param, 'weight_filler'),
      message: `${nameOf(layer)} upsamples with weights that never learn (lr_mult 0) and begin ${filler === undefined ? 'with zeros' : `as ${filler}`}, not as bilinear`,
    };
  }
}

function* learning(net: LintNet): Iterable<Found> {
  for (const { layer } of layersOf(net, ({ trains }) => trains))
    if (upsampling(layer) !== null && fillerOf(layer) === 'bilinear' && rateOf(layer) !== 0)
      yield {
        position: positionOf(layer, 'param'),
        message: `${nameOf(layer)} begins as bilinear interpolation and learns (lr_mult ${rateOf(layer)}): it will not remain an interpolation`,
      };
}

function* bilinear(net: LintNet): Iterable<Found> {
  for (const { layer, state } of layersOf(net)) {
    const window = upsampling(layer);
    if (window === null || fillerOf(layer) !== 'bilinear') continue;
    const { kernel, stride, group, outputs } = window;
    const channels = state.shapeOf(layer.bottom?.[0] ?? '')?.[1] ?? outputs;
    const right = 2 * stride - (stride % 2);
    if (group !== outputs || group !== channels)
      yield {
        position: positionOf(layer.convolution_param, 'group'),
        message: `${nameOf(layer)} is bilinear with group ${group}, ${channels} channels and num_output ${outputs}: each output is the sum of ${channels / group} interpolated channels`,
        fix: `write group: ${channels} and num_output: ${channels}`,
      };
    else if (kernel !== right)
      yield {
        position: positionOf(layer.convolution_param, 'kernel_size'),
        message: `${nameOf(layer)} is bilinear with kernel_size ${kernel} and stride ${stride}: its weights do not interpolate`,
        fix: `write kernel_size: ${right} and pad: ${Math.ceil((stride - 1) / 2)}`,
      };
  }
}

/** The offsets between a position of the cropped blob and the same position of the reference. */
function* crops({ states }: LintNet): Iterable<Found> {
  for (const { graph, layers } of states) {
    const maps = coordinateMaps(graph);
    for (const node of graph.nodes) {
      // Layers may share a name, but each top has one layer that makes it.
      const { blob } = graph.values[node.outputs[0]!]!;
      const layer = layers.find(({ name, top = [] }) => name === node.name && top[0] === blob);
      if (node.operation.kind !== 'crop' || layer?.type !== 'Crop' || node.operation.offset.length !== 4)
        continue;
      const reference = layer.bottom?.[1] ?? '';
      // The value of the blob before this layer. No layer crops values that later layers overwrite.
      const last = graph.blobs.get(reference);
      const [a, b] = [maps[node.inputs[0]!], last === undefined ? null : maps[last]];
      if (
        a == null ||
        b == null ||
        a.input !== b.input ||
        node.operation.offset.slice(0, 2).some((each) => each > 0)
      )
        continue;
      const found = [0, 1].map((axis) => (b.start[axis]! - a.start[axis]!) / a.stride[axis]!) as [
        number,
        number,
      ];
      const offset = node.operation.offset.slice(2);
      const distances = found.map((right, axis) => Math.abs(right - offset[axis]!));
      if (distances.every((each) => each <= 0.5 + 1e-6)) continue;
      const [y, x] = found.map((each) => Math.round(each * 100) / 100) as [number, number];
      yield {
        position: positionOf(layer.crop_param ?? layer, 'offset'),
        message: `${nameOf(layer)} crops from ${offset.join(', ')} on, but "${reference}" begins at ${y}, ${x}: the maps are ${Math.round(Math.max(...distances) * 100) / 100} positions apart`,
        ...(y >= 0 && x >= 0
          ? {
              fix: `write offset: ${Math.round(y)}${Math.round(y) === Math.round(x) ? '' : ` offset: ${Math.round(x)}`}`,
            }
          : {}),
      };
    }
  }
}

function* ignored(net: LintNet): Iterable<Found> {
  for (const { layer, state } of layersOf(net, ({ trains }) => trains)) {
    const shape = state.shapeOf(layer.bottom?.[0] ?? '');
    if (layer.type !== 'SoftmaxWithLoss' || shape?.length !== 4 || shape[2]! * shape[3]! === 1) continue;
    const classes = shape[1]!;
    const label = layer.loss_param?.ignore_label as number | undefined;
    if (label === undefined && classes <= 255)
      yield {
        position: positionOf(layer),
        message: `${nameOf(layer)} has a label for each of ${shape[2]}×${shape[3]} positions and no ignore_label: 255, which marks borders in VOC's maps, is not one of its ${classes} classes`,
      };
    else if (label !== undefined && label >= 0 && label < classes)
      yield {
        position: positionOf(layer.loss_param, 'ignore_label'),
        message: `${nameOf(layer)} ignores label ${label}, one of its ${classes} classes: that class never learns`,
        fix: 'write ignore_label: 255, unless that class marks pixels that do not count',
      };
  }
}

export const denseRules: readonly Rule[] = [
  {
    name: 'deconvolution-filler',
    level: 'warning',
    on: 'net',
    finds: 'a Deconvolution that upsamples, has lr_mult 0 and no bilinear filler, in a training net',
    why: 'base_conv_layer.cpp fills weights with weight_filler, by default with zeros (caffe.proto, FillerParameter); with lr_mult 0 they stay zero unless a weights file contains them.',
    fix: 'write weight_filler { type: "bilinear" }, or load weights that were set by net surgery',
    check: unfilled,
  },
  {
    name: 'deconvolution-learns',
    level: 'note',
    on: 'net',
    finds: 'a bilinear Deconvolution with an lr_mult other than 0, in a training net',
    why: 'filler.hpp (BilinearFiller) shows it with param { lr_mult: 0 decay_mult: 0 }; FCN fixes its last Deconvolution in this way.',
    fix: 'write param { lr_mult: 0 decay_mult: 0 }, or keep it if the upsampling should be learned',
    check: learning,
  },
  {
    name: 'deconvolution-bilinear',
    level: 'warning',
    on: 'net',
    finds:
      'a bilinear filler in a Deconvolution that mixes channels, or whose kernel does not match its stride',
    why: 'filler.hpp (BilinearFiller): group and num_output are both the number of channels, the kernel is 2·s − s mod 2; it fills every filter equally, including those across channels.',
    fix: 'set group and num_output to the number of channels',
    check: bilinear,
  },
  {
    name: 'crop-offset',
    level: 'warning',
    on: 'net',
    finds:
      'a Crop whose offset does not align the two maps, according to the windows, pads and strides before both',
    why: 'crop_layer.cpp uses the offset as written; FCN computes it from the layers (coord_map.py).',
    fix: 'write the offset that the layers imply',
    check: crops,
  },
  {
    name: 'ignore-label',
    level: 'note',
    on: 'net',
    finds: 'a SoftmaxWithLoss over pixels without ignore_label, or with one that is a class',
    why: 'softmax_loss_layer.cpp counts every label that is not ignore_label, and reads scores out of bounds for labels that are not classes.',
    fix: 'write loss_param { ignore_label: 255 }',
    check: ignored,
  },
];
