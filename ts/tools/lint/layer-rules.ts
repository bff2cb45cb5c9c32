/** Rules about layers, their blobs and their sizes. */

import { type Message, positionOf } from '../../caffe/message.ts';
import type { LayerParameter } from '../../caffe/net-parameter.ts';
import type { Node } from '../../graph/graph.ts';
import { DATA_TYPES } from '../../layers/data.ts';
import { supportedLayerTypes } from '../../layers/index.ts';
import { explainLayerType } from '../../layers/known-layers.ts';
import { isSink } from '../../layers/sinks.ts';
import { SIDES } from '../../layers/uneven-pads.ts';
import { type Found, type LintNet, type LintState, nameOf, type Rule } from './rule.ts';

/** For each layer type with an optional bias: its parameter, and whether it has a bias by default. */
const BIASED: Readonly<Record<string, readonly [param: `${string}_param`, byDefault: boolean]>> = {
  Convolution: ['convolution_param', true],
  Deconvolution: ['convolution_param', true],
  InnerProduct: ['inner_product_param', true],
  Scale: ['scale_param', false],
};

function* surplusParams({ states }: LintNet): Iterable<Found> {
  for (const { layers } of states)
    for (const layer of layers) {
      if (!Object.hasOwn(BIASED, layer.type ?? '')) continue;
      const [param, byDefault] = BIASED[layer.type!]!;
      const blobs =
        1 +
        Number(layer[param]?.bias_term ?? byDefault) -
        Number((layer.bottom?.length ?? 1) > 1 && layer.type === 'Scale');
      const count = layer.param?.length ?? 0;
      if (count > blobs)
        yield {
          position: positionOf(layer, 'param'),
          message: `${nameOf(layer)} has ${count} param fields, but only ${blobs} learnable ${blobs === 1 ? 'blob' : 'blobs'}${(layer[param]?.bias_term ?? byDefault) ? '' : ': it has no bias'}`,
        };
    }
}

type TypeCode = ReturnType<typeof explainLayerType>['code'];

const layerTypes = (code: TypeCode) =>
  function* ({ states }: LintNet): Iterable<Found> {
    for (const { layers } of states)
      for (const layer of layers) {
        const type = layer.type ?? '';
        if (isSink(type) || [...supportedLayerTypes, ...DATA_TYPES, 'Input'].includes(type)) continue;
        const explained = explainLayerType(type);
        if (explained.code === code)
          yield {
            position: positionOf(layer, 'type'),
            message: `layer "${layer.name ?? ''}": ${explained.text}`,
          };
      }
  };

/** In-place layers of a blob with other readers, as net.cpp and insert_splits.cpp treat it. */
function sharedInPlace(layers: readonly LayerParameter[]): LayerParameter[] {
  const readers = new Map<string, LayerParameter[]>();
  const found = new Set<LayerParameter>();
  const close = (blob: string) => {
    const all = readers.get(blob) ?? [];
    if (all.length > 1) for (const layer of all) if (layer.top?.includes(blob)) found.add(layer);
    readers.delete(blob);
  };
  // Layers after an in-place layer read its result. Only those before it share its bottom.
  for (const layer of layers) {
    for (const blob of layer.bottom ?? []) readers.set(blob, [...(readers.get(blob) ?? []), layer]);
    for (const blob of layer.top ?? []) close(blob);
  }
  return [...found];
}

function unequalBottoms(layer: LayerParameter, state: LintState): string | undefined {
  if (layer.type !== 'Eltwise') return undefined;
  const shapes = (layer.bottom ?? []).map((blob) => [blob, state.shapeOf(blob)?.join('×')] as const);
  const [first, ...others] = shapes.filter(([, shape]) => shape !== undefined);
  const other = others.find(([, shape]) => shape !== first![1]);
  return other === undefined ? undefined : `"${first![0]}" is ${first![1]}, "${other[0]}" is ${other[1]}`;
}

function* inPlace({ states }: LintNet): Iterable<Found> {
  for (const { layers } of states)
    for (const layer of sharedInPlace(layers))
      yield {
        position: positionOf(layer, 'top'),
        message: `${nameOf(layer)} works in place on a blob that another layer reads: "${layer.top?.find((blob) => layer.bottom?.includes(blob))}"`,
      };
}

function* eltwise({ states }: LintNet): Iterable<Found> {
  for (const state of states)
    for (const layer of state.layers) {
      const difference = unequalBottoms(layer, state);
      if (difference !== undefined)
        yield { position: positionOf(layer, 'bottom'), message: `${nameOf(layer)}: ${difference}` };
    }
}

/** Other errors, which no rule of their own describes. */
function* unbuilt({ states }: LintNet): Iterable<Found> {
  for (const state of states.filter(({ assumesShapes }) => !assumesShapes)) {
    const shared = sharedInPlace(state.layers);
    const lost = new Set<string>();
    for (const layer of state.layers) {
      const message = state.missing.get(layer);
      if (message === undefined) continue;
      const follows = layer.bottom?.some((blob) => lost.has(blob)) ?? false;
      for (const blob of layer.top ?? []) lost.add(blob);
      const isKnown = supportedLayerTypes.includes(layer.type ?? '') || layer.type === 'Input';
      if (follows || !isKnown || shared.includes(layer) || unequalBottoms(layer, state) !== undefined)
        continue;
      yield { position: positionOf(layer), message: `${nameOf(layer)}: ${message}` };
    }
  }
}

function* roundings({ states }: LintNet): Iterable<Found> {
  for (const state of states)
    for (const node of state.graph.nodes) {
      const message = rounding(node, state);
      if (message !== undefined) yield { position: node.position, message };
    }
}

function rounding(
  { name, type, operation, inputs, outputs }: Node,
  { graph, layers }: LintState,
): string | undefined {
  if (operation.kind !== 'convolution' && operation.kind !== 'pooling') return undefined;
  // A layer that pads each side separately makes windows that a crop removes.
  const layer = layers.find((each) => each.name === name);
  const param: Message = layer?.convolution_param ?? layer?.pooling_param ?? {};
  if (['pad_type', ...SIDES].some((field) => param[field] !== undefined)) return undefined;
  const { kernel, stride, pad } = operation;
  const dilation = operation.kind === 'convolution' ? operation.dilation : [1, 1];
  for (const axis of [0, 1] as const) {
    const [length, size] = [inputs[0]!, outputs[0]!].map((id) => graph.values[id]!.shape[2 + axis]!) as [
      number,
      number,
    ];
    const [k, s, p] = [dilation[axis]! * (kernel[axis] - 1) + 1, stride[axis], pad[axis]];
    const over = (size - 1) * s + k - (length + 2 * p);
    // A window smaller than its step skips pixels on purpose.
    if (over === 0 || k < s) continue;
    const steps = `(${length} + 2·${p} − ${k}) / ${s} + 1 = ${(length + 2 * p - k) / s + 1}`;
    const pixels = Math.abs(over) === 1 ? 'one pixel' : `${Math.abs(over)} pixels`;
    const effect =
      over > 0
        ? `rounded up to ${size}: the last window extends ${pixels} beyond the padded edge`
        : `rounded down to ${size}: ${pixels} of the padded ${length + 2 * p} ${over === -1 ? 'is' : 'are'} never read`;
    return `layer "${name}" (${type}), ${axis === 0 ? 'height' : 'width'}: ${steps}, ${effect}`;
  }
  return undefined;
}

/** BVLC's layer types that have blobs of their own. */
const WITH_BLOBS: readonly string[] = [
  ...Object.keys(BIASED),
  ...['BatchNorm', 'Bias', 'PReLU', 'Embed', 'LSTM', 'RNN', 'Parameter'],
];

// A Scale or Bias with a second bottom takes its values from there.
const hasParameters = ({ type = '', bottom = [] }: LayerParameter): boolean =>
  WITH_BLOBS.includes(type) && !(['Scale', 'Bias'].includes(type) && bottom.length > 1);

/** The names of all blobs if `param { name }` shares each of them. Layers with the same names are one set of weights. */
const sharedNames = ({ param = [] }: LayerParameter): string | null =>
  param.length > 0 && param.every(({ name }) => name) ? param.map(({ name }) => name).join() : null;

function* repeatedNames({ states }: LintNet): Iterable<Found> {
  for (const { layers } of states) {
    const first = new Map<string, LayerParameter>();
    for (const layer of layers) {
      const { name = '' } = layer;
      const before = first.get(name);
      if (!hasParameters(layer)) continue;
      if (before === undefined) first.set(name, layer);
      else if (sharedNames(layer) === null || sharedNames(layer) !== sharedNames(before))
        yield {
          position: positionOf(layer, 'name'),
          message: `${nameOf(layer)} has the name of another layer with parameters, ${nameOf(before)} in line ${positionOf(before)?.line}: files store one set of weights for both`,
        };
    }
  }
}

function* labelInputs({ states }: LintNet): Iterable<Found> {
  for (const { phase, layers } of states) {
    if (phase !== 'TEST') continue;
    for (const layer of layers.filter(({ type }) => type === 'Input'))
      for (const top of layer.top ?? []) {
        const readers = layers.filter(({ bottom = [] }) => bottom.includes(top));
        if (readers.length === 0 || !readers.every(({ type = '' }) => /Loss$|^Accuracy$/.test(type)))
          continue;
        const names = readers.map(({ name, type }) => `"${name ?? ''}" (${type})`).join(', ');
        yield {
          position: positionOf(layer),
          message: `only ${names} reads the input "${top}": a deploy net has no labels`,
        };
      }
  }
}

export const layerRules: readonly Rule[] = [
  {
    name: 'name-twice',
    level: 'error',
    on: 'net',
    finds:
      'two layers with parameters that have the same name in one phase and do not share parameters by param { name }',
    why: 'net.cpp (ToProto, CopyTrainedLayersFrom) stores weights by name and copies them to the first layer with that name: such a net trains, but cannot be saved and loaded.',
    fix: 'give each layer its own name',
    check: repeatedNames,
  },
  {
    name: 'param-without-blob',
    level: 'error',
    on: 'net',
    finds: 'a second param for a convolution, inner product or scale without bias',
    why: 'net.cpp (Net::Init) refuses more param fields than the layer has blobs.',
    fix: 'remove the param of the bias, or write bias_term: true',
    check: surplusParams,
  },
  {
    name: 'fork-layer',
    level: 'error',
    on: 'net',
    finds: 'a layer type of a fork of Caffe',
    why: "BVLC's layer factory (layer_factory.hpp) does not know it.",
    fix: 'replace the layer, or use the fork that it belongs to',
    check: layerTypes('fork-type'),
  },
  {
    name: 'unknown-layer',
    level: 'error',
    on: 'net',
    finds: "a layer type that neither BVLC's Caffe nor a known fork has",
    why: 'layer_factory.hpp ends the program at an unknown type; types are case-sensitive.',
    fix: 'write the type as Caffe does',
    check: layerTypes('unknown-type'),
  },
  {
    name: 'layer-not-run',
    level: 'note',
    on: 'net',
    finds: "a layer type of BVLC's Caffe that resnode does not run",
    why: 'It belongs to Caffe (layer_factory.cpp), but not to residual networks.',
    fix: 'remove the layer to run the net here',
    check: layerTypes('unsupported-type'),
  },
  {
    name: 'in-place-shared',
    level: 'error',
    on: 'net',
    finds: 'an in-place layer on a blob that another layer reads',
    why: 'insert_splits.cpp gives each reader a copy, after which net.cpp refuses the top as produced by several sources.',
    fix: 'give the layer its own top',
    check: inPlace,
  },
  {
    name: 'eltwise-shape',
    level: 'error',
    on: 'net',
    finds: 'an Eltwise of different shapes',
    why: 'eltwise_layer.cpp (Reshape) compares the shapes of all bottoms.',
    fix: 'bring the shortcut to the same size, with a 1×1 convolution of the same num_output and stride',
    check: eltwise,
  },
  {
    name: 'does-not-build',
    level: 'error',
    on: 'net',
    finds: 'a layer that cannot be set up for another reason',
    why: "The layer's own checks, or net.cpp's (AppendBottom), end the program here.",
    fix: 'correct it as the message says',
    check: unbuilt,
  },
  {
    name: 'deploy-labels',
    level: 'note',
    on: 'net',
    finds:
      'an input of a net in phase TEST that only losses and Accuracy read: labels, in a possible deploy net',
    why: 'net.cpp (Init) makes every Input a blob that the user has to fill; a new image has no labels.',
    fix: '`resnode print --deploy` writes the net without them; nothing is needed if code feeds the labels',
    check: labelInputs,
  },
  {
    name: 'size-rounding',
    level: 'note',
    on: 'net',
    finds:
      'a convolution or pooling whose size is not a whole number (if its window is at least as large as its stride)',
    why: 'Convolutions round down (conv_layer.cpp, compute_output_shape), pooling rounds up (pooling_layer.cpp, Reshape); other frameworks round pooling down.',
    fix: 'none is needed in Caffe; to have the same size in another framework, let its pooling round up (ceil_mode)',
    check: roundings,
  },
];
