/**
 * Layers that are functions in JavaScript, as Caffe's Python layers are in Python. They are registered by name for the whole
 * process, as in Caffe's own registry. The device's thread waits while such a layer computes on the event loop, or in a
 * worker that it uses.
 */
import { inspect } from 'node:util';
import { ArgumentError } from '../base/errors.ts';
import { callback, type Kind, record } from '../base/kinds.ts';
import { optional, options, required, signature } from '../base/options.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';

/** A layer of a net, as its function sees it. */
export interface JavaScriptLayerInfo {
  /** The layer's name in the net. */
  readonly name: string;
  readonly module: string;
  /** The class in the module. */
  readonly layer: string;
  /** python_param's param_str, as it is written. */
  readonly param: string;
  readonly phase: 'TRAIN' | 'TEST';
  /** Shapes of the bottoms. */
  readonly bottoms: readonly Shape[];
  /** Names of the tops. */
  readonly tops: readonly string[];
}

/** Row-major float32; a copy that the function may keep or write to. */
export interface JavaScriptBlob {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** One array for each top. */
export type TopValues = readonly Float32Array[];
/** One array for each bottom; null: 0. */
export type BottomDiffs = readonly (Float32Array | null)[];

/** The argument of `registerLayers`: one kind of layer, for all layers of nets with its name. */
export interface JavaScriptLayer {
  /** Returns the shapes of the tops. It is called whenever a net is built. Its errors become errors of the net. */
  readonly shapes: (layer: JavaScriptLayerInfo) => readonly Shape[];
  /**
   * Returns the tops' values, one array for each top, or a promise of them, for which the device waits. An AbortSignal ends
   * the run at once, and the promise's result is then ignored. Without this function, a layer without bottoms is an input of
   * the net, which the caller supplies.
   */
  readonly forward?: (
    bottoms: readonly JavaScriptBlob[],
    layer: JavaScriptLayerInfo,
  ) => TopValues | Promise<TopValues>;
  /**
   * Returns the bottoms' diffs, one for each bottom, null for 0, or a promise of them. Without this function no diff goes
   * down. `topDiffs` are 0 for tops that receive no diff.
   */
  readonly backward?: (
    pass: {
      readonly bottoms: readonly JavaScriptBlob[];
      readonly tops: readonly JavaScriptBlob[];
      readonly topDiffs: readonly JavaScriptBlob[];
    },
    layer: JavaScriptLayerInfo,
  ) => BottomDiffs | Promise<BottomDiffs>;
}

/** Layers by `module.Layer`, or by `Layer` for any module. */
export type JavaScriptLayers = Readonly<Record<string, JavaScriptLayer>>;

const javaScriptLayer: Kind<JavaScriptLayer> = options<JavaScriptLayer>({
  shapes: required(callback<JavaScriptLayer['shapes']>(), 'Returns the shapes of the tops.'),
  forward: optional(
    callback<NonNullable<JavaScriptLayer['forward']>>(),
    'a layer of inputs',
    'Returns the values of the tops.',
  ),
  backward: optional(
    callback<NonNullable<JavaScriptLayer['backward']>>(),
    'none',
    'Returns the diffs of the bottoms.',
  ),
});

const REGISTER = signature('registerLayers', {
  layers: required(record(javaScriptLayer), 'Functions by `module.Layer`, or by `Layer`.'),
});

const registered = new Map<string, JavaScriptLayer>();

/**
 * Registers functions for Caffe's Python layers, in all nets that this process (or worker) reads from now on: `load`,
 * `train`, solvers and tools. A registered function takes precedence over resnode's rule for a public module.
 *
 * ```ts
 * registerLayers({
 *   'my_layers.Double': {
 *     shapes: ({ bottoms }) => bottoms,
 *     forward: ([x]) => [x.data.map((value) => 2 * value)],
 *     backward: ({ topDiffs: [dy] }) => [dy.data.map((value) => 2 * value)],
 *   },
 * });
 * ```
 * @param layers By `module.Layer` of `python_param`, or by `Layer` for any module.
 * @returns A function that unregisters them; nets that are loaded keep theirs.
 * @throws ArgumentError
 */
export function registerLayers(layers: JavaScriptLayers): () => void {
  REGISTER.check(layers);
  for (const [name, layer] of Object.entries(layers)) registered.set(name, layer);
  return () => {
    for (const [name, layer] of Object.entries(layers))
      if (registered.get(name) === layer) registered.delete(name);
  };
}

/** The module and class of a Python layer. */
export const pythonNames = ({ python_param: param }: LayerParameter) => ({
  module: String(param?.module ?? ''),
  layer: String(param?.layer ?? ''),
});

/** The function for a Python layer; undefined if there is none. */
export function javaScriptLayerOf(layer: LayerParameter): JavaScriptLayer | undefined {
  const names = pythonNames(layer);
  return registered.get(`${names.module}.${names.layer}`) ?? registered.get(names.layer);
}

/** A function with its layer. */
export interface HostFunction {
  /** The layer's: of Python's the function is the user's own. */
  readonly type: string;
  readonly info: JavaScriptLayerInfo;
  readonly tops: readonly Shape[];
  readonly layer: Pick<JavaScriptLayer, 'forward' | 'backward'>;
}

export const infoOf = (
  layer: LayerParameter,
  phase: 'TRAIN' | 'TEST',
  bottoms: readonly Shape[],
): JavaScriptLayerInfo => ({
  name: layer.name ?? '',
  ...pythonNames(layer),
  param: String(layer.python_param?.param_str ?? ''),
  phase,
  bottoms,
  tops: layer.top ?? [],
});

/**
 * The shapes of a layer's tops that the caller supplies; null if its function computes them.
 * @param refuse Creates the error for invalid shapes.
 */
export function givenShapes(
  layer: LayerParameter,
  phase: 'TRAIN' | 'TEST',
  refuse: (text: string) => Error,
): readonly Shape[] | null {
  const found = layer.type === 'Python' ? javaScriptLayerOf(layer) : undefined;
  if (found === undefined || found.forward !== undefined || (layer.bottom ?? []).length > 0) return null;
  return shapesOf(found, infoOf(layer, phase, []), refuse);
}

export function shapesOf(
  layer: JavaScriptLayer,
  info: JavaScriptLayerInfo,
  refuse: (text: string) => Error,
): readonly Shape[] {
  let shapes: unknown;
  try {
    shapes = layer.shapes(info);
  } catch (error) {
    throw refuse(`its JavaScript function failed: ${messageOf('shapes', error)}`);
  }
  const areShapes =
    Array.isArray(shapes) &&
    shapes.length === info.tops.length &&
    shapes.every(
      (shape) => Array.isArray(shape) && shape.every((size) => Number.isSafeInteger(size) && size >= 1),
    );
  if (!areShapes)
    throw refuse(
      `"shapes" of its JavaScript function must return a list of positive integers for each of ${info.tops.length} tops, found ${inspect(shapes, { breakLength: Number.POSITIVE_INFINITY })}`,
    );
  return shapes as readonly Shape[];
}

/** A description of the call of a layer's functions. */
const CALLED = {
  shapes: 'shapes({ bottoms, tops, param, phase, … }), where bottoms are shapes',
  forward: 'forward([{ shape, data }, …], { bottoms, tops, param, … })',
  backward:
    'backward({ bottoms, tops, topDiffs }, { bottoms, tops, param, … }), each a list of { shape, data }',
} as const;

/** An error of a function. If it used its arguments wrongly, the message shows how it is called. */
function messageOf(name: keyof typeof CALLED, error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error instanceof TypeError ? `${error.message}; it is called as ${CALLED[name]}` : error.message;
}

/** The function that native code calls on the event loop: see NativeHostFunction. */
export function hostCaller(functions: readonly HostFunction[]) {
  return (
    index: number,
    isBackward: boolean,
    reads: readonly (Float32Array | null)[],
    sizes: readonly number[],
    done: (error: string | null, values?: readonly (Float32Array | null)[]) => void,
  ): void => {
    const called = functions[index]!;
    const work = isBackward ? backward(called, reads, sizes) : forward(called, reads);
    work.then(
      (values) => done(null, values),
      (error: unknown) =>
        done(
          `layer "${called.info.name}" (${called.type})${called.type === 'Python' ? ', its JavaScript function' : ''}: ${messageOf(isBackward ? 'backward' : 'forward', error)}`,
        ),
    );
  };
}

const blobs = (
  shapes: readonly Shape[],
  arrays: readonly (Float32Array | null)[],
): readonly JavaScriptBlob[] =>
  shapes.map((shape, i) => ({ shape, data: arrays[i] ?? new Float32Array(elementCount(shape)) }));

async function forward(
  { layer, info, tops }: HostFunction,
  reads: readonly (Float32Array | null)[],
): Promise<TopValues> {
  const values = await layer.forward!(blobs(info.bottoms, reads), info);
  return checked(values, tops, 'forward', 'top') as TopValues;
}

async function backward(
  { layer, info, tops }: HostFunction,
  reads: readonly (Float32Array | null)[],
  sizes: readonly number[],
): Promise<BottomDiffs> {
  const { bottoms } = info;
  const made = bottoms.length + tops.length;
  const diffs = await layer.backward!(
    {
      bottoms: blobs(bottoms, reads),
      tops: blobs(tops, reads.slice(bottoms.length, made)),
      topDiffs: blobs(tops, reads.slice(made)),
    },
    info,
  );
  const found = checked(diffs, bottoms, 'backward', 'bottom');
  return found.map((diff, i) => diff ?? new Float32Array(sizes[i]!));
}

function checked(
  values: unknown,
  shapes: readonly Shape[],
  name: 'forward' | 'backward',
  place: 'top' | 'bottom',
): BottomDiffs {
  if (!Array.isArray(values) || values.length !== shapes.length)
    throw new ArgumentError(name, `an array of ${shapes.length} Float32Arrays, one per ${place}`, values);
  shapes.forEach((shape, i) => {
    const value: unknown = values[i];
    if (name === 'backward' && value === null) return;
    if (!(value instanceof Float32Array) || value.length !== elementCount(shape))
      throw new ArgumentError(
        `${name}'s ${place} ${i}`,
        `a Float32Array of ${elementCount(shape)} values (${showShape(shape)})`,
        value,
      );
  });
  return values as BottomDiffs;
}
