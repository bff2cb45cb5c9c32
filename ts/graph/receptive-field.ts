/**
 * Receptive fields: the input pixels that a position of a blob depends on. The recurrences are those of Araujo, Norris
 * and Sim, "Computing Receptive Fields of Convolutional Neural Networks" (Distill, 2019), section 2. If branches
 * meet, the field is the union of theirs.
 */
import { required, signature } from '../base/options.ts';
import type { Shape } from '../base/shape.ts';
import type { Operation, Pair } from '../layers/operation.ts';
import { type Graph, graph, type Node, type ValueId } from './graph.ts';
import {
  ITSELF,
  joined,
  largestOf,
  type Reach,
  type Resampling,
  resampling,
  throughResize,
  throughTransposed,
  throughWindow,
} from './reach.ts';
import { regroupings } from './regrouping.ts';

/**
 * Position (y, x) of a blob depends on the input rows start + y·stride … start + y·stride + size − 1, and on the same range
 * of columns. With a fractional stride the fields differ: size is that of the largest field, and start belongs to (0, 0). If
 * all positions depend on a common value (after a global pooling that scales a map or is joined with one), the field of each
 * position contains the fields of all: it begins at start for every position.
 */
export interface ReceptiveField {
  /** The net input (blob) that the pixels belong to. */
  readonly input: string;
  /** In input pixels, including those in the padding. */
  readonly size: Pair;
  /**
   * Input pixels from one position to the next: the effective stride. It is below 1 if a deconvolution or a resize enlarges
   * beyond the input.
   */
  readonly stride: Pair;
  /** The first row and column in the field of position (0, 0). They are negative inside the padding. */
  readonly start: Pair;
}

interface Window {
  /** Positions of its output lie between those of its input, as in a deconvolution. */
  readonly isTransposed?: boolean;
  /** The rows and columns of a resize. */
  readonly resized?: readonly [Resampling, Resampling];
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly pad: Pair;
  readonly dilation: Pair;
}

const RECEPTIVE_FIELDS = signature('receptiveFields', {
  graph: required(graph, 'A graph, as graphFromCaffe makes it.'),
});

/**
 * The receptive field of every value in an N×C×H×W input.
 * BatchNorm with batch statistics and Softmax over channels count as pointwise, as usual. InnerProduct, losses and
 * reshapes that remove height and width depend on all of their bottom.
 * @returns By value id; null if a value depends on no image (a label), on two, on branches of different strides, on a value
 * without a field, or on regions of interest, which may be anywhere. A value that is the same for all positions (a global
 * pooling's value times a map, in a squeeze-and-excitation block) extends the field of each position by its own.
 */
export function receptiveFields(graph: Graph): (ReceptiveField | null)[] {
  RECEPTIVE_FIELDS.check(graph);
  const fields: (Field | null)[] = graph.values.map(() => null);
  // A value without positions. All readers depend on the same pixels, and windows add none.
  const whole = new Set<ValueId>();
  // A value that depends on images, but has no single field.
  const unknown = new Set<ValueId>();
  const regions = regionValues(graph);
  const regrouped = regroupings(graph);
  for (const id of graph.inputs) {
    const { blob, shape } = graph.values[id]!;
    if (shape.length === 4)
      fields[id] = { input: blob, size: [1, 1], stride: [1, 1], start: [0, 0], reach: [ITSELF, ITSELF] };
  }
  for (const node of graph.nodes) {
    if (node.outputs.some((id) => regions.has(id)) || isConstant(node)) continue;
    const regrouping = regrouped.get(node);
    const images = node.inputs.filter((id) => fields[id] != null);
    const isAround = images.length === 1 && node.operation.kind === 'concat';
    const window = (id: ValueId) => {
      if (regrouping !== undefined) return regrouping && { ...regrouping, dilation: [1, 1] as const };
      return isAround ? offsetByEarlier(graph, node, id) : windowOf(graph, node, id);
    };
    const keeps = regrouping !== undefined || isAround;
    const shape = graph.values[node.outputs[0]!]!.shape;
    const seen = images.map((id) => {
      const [field, isWhole] = [fields[id]!, whole.has(id)];
      const next = through(field, window(id), shape);
      if (isWhole) return { isWhole, field: { ...field, stride: next.stride } };
      if (isSpread(graph, node, id)) return { isWhole: true, field: uniformField(field, field) };
      return { isWhole: !keeps && losesPositions(graph, node, id), field: next };
    });
    const isUnknown = node.inputs.some((id) => unknown.has(id));
    const field = isUnknown ? null : unionOf(seen, shape);
    const isWhole = seen.some((each) => each.isWhole);
    for (const id of node.outputs) {
      fields[id] = field;
      if (field === null && (isUnknown || seen.length > 0)) unknown.add(id);
      if (isWhole) whole.add(id);
    }
  }
  return fields.map((field, id) => field && exact(field, graph.values[id]!.shape));
}

/** @param otherwise The result if position 0 depends on nothing. */
const firstOf = (reach: Reach, otherwise: number): number =>
  Number.isFinite(reach.first(0)) ? reach.first(0) : otherwise;

/** Extended by what every position depends on, along both axes. */
interface Field extends ReceptiveField {
  readonly reach: readonly [Reach, Reach];
}

function exact({ reach, ...field }: Field, shape: Shape): ReceptiveField {
  if (reach.every(({ period }) => period === 1)) return field;
  const [rows, columns] = reach;
  return {
    ...field,
    size: [largestOf(rows, shape[2] ?? 1), largestOf(columns, shape[3] ?? 1)],
    start: [firstOf(rows, field.start[0]), firstOf(columns, field.start[1])],
  };
}

/** (shift + scale·x)^power with the same result for every x. */
const isConstant = ({ operation }: Node): boolean =>
  operation.kind === 'power' && (operation.power === 0 || operation.scale === 0);

/**
 * Layers that select regions or read regions that may be anywhere, and all that is computed from them. Their positions have
 * no fixed field.
 */
export function regionValues(graph: Graph): ReadonlySet<ValueId> {
  const found = new Set<ValueId>();
  for (const { operation, inputs, outputs } of graph.nodes)
    if (REGIONS.includes(operation.kind) || inputs.some((id) => found.has(id)))
      for (const id of outputs) found.add(id);
  return found;
}
const REGIONS: readonly Operation['kind'][] = [
  'proposal',
  'detectionOutput',
  'roiPooling',
  'roiMaskPooling',
  'psRoiPooling',
  'roiAlign',
];

/** Whether columns keep height and width: one window per position. */
const isOfPlanes = ({ toImage, size }: Extract<Operation, { kind: 'im2col' }>, shape: Shape): boolean =>
  !toImage && size.length === 2 && shape.length === 4;

/** Whether a node's result no longer has positions. A plane of 1×1 has none to lose. */
function losesPositions(graph: Graph, { operation, outputs }: Node, id: ValueId): boolean {
  const { shape } = graph.values[id]!;
  if (operation.kind === 'im2col' && isOfPlanes(operation, shape)) return false;
  const hasPlane = shape.slice(2).some((size) => size > 1);
  return hasPlane && givesUpPositions(operation, shape, graph.values[outputs[0] ?? id]!.shape);
}

function through(field: Field, window: Window | null, top: Shape): Field {
  if (window === null) return field;
  const { kernel, stride, pad, dilation, resized, isTransposed } = window;
  const both = (of: (axis: 0 | 1) => number): Pair => [of(0), of(1)];
  const along = (axis: 0 | 1): Reach => {
    const [reach, form] = [field.reach[axis], { kernel, stride, pad, dilation }];
    if (resized !== undefined) return throughResize(reach, resized[axis], top[2 + axis] ?? 1);
    const one = Object.fromEntries(Object.entries(form).map(([key, pair]) => [key, pair[axis]]));
    return (isTransposed ? throughTransposed : throughWindow)(
      reach,
      one as Record<keyof typeof form, number>,
    );
  };
  const reach = [along(0), along(1)] as const;
  const extent = (axis: 0 | 1) => dilation[axis] * (kernel[axis] - 1);
  if (window.isTransposed)
    return {
      input: field.input,
      reach,
      size: both((axis) => field.size[axis] + Math.floor(extent(axis) / stride[axis]) * field.stride[axis]),
      stride: both((axis) => field.stride[axis] / stride[axis]),
      start: both(
        (axis) =>
          field.start[axis] + Math.ceil((pad[axis] - extent(axis)) / stride[axis]) * field.stride[axis],
      ),
    };
  return {
    input: field.input,
    reach,
    size: both((axis) => field.size[axis] + dilation[axis] * (kernel[axis] - 1) * field.stride[axis]),
    stride: both((axis) => field.stride[axis] * stride[axis]),
    start: both((axis) => field.start[axis] - pad[axis] * field.stride[axis]),
  };
}

interface Seen {
  readonly field: Field;
  /** All positions depend on the same pixels. */
  readonly isWhole: boolean;
}

/** @param shape The shape of the value that depends on all of them; null if it has no field. */
function unionOf(seen: readonly Seen[], shape: Shape): Field | null {
  const first = seen[0];
  if (first === undefined) return null;
  const isAlike = seen.every(({ isWhole }) => isWhole === first.isWhole);
  const all = isAlike ? seen : seen.map((each) => (each.isWhole ? each : wholeSeen(each, shape)));
  const isWhole = all[0]!.isWhole;
  // The step between positions is that of a branch that has positions.
  const { stride } = (seen.find((each) => !each.isWhole) ?? first).field;
  const joint = all.reduce<Field | null>(
    (a, { field }) => (a === null ? null : union(a, field, isWhole)),
    all[0]!.field,
  );
  return joint && (isWhole ? { ...joint, stride } : joint);
}

/** The union of the fields of all positions of a map. */
function wholeSeen({ field }: Seen, shape: Shape): Seen {
  const both = (of: (axis: 0 | 1) => number): Pair => [of(0), of(1)];
  const size = both(
    (axis) => field.size[axis] + Math.ceil(((shape[2 + axis] ?? 1) - 1) * field.stride[axis]),
  );
  return { isWhole: true, field: uniformField(field, { ...field, size }) };
}

/** The field of every position. */
function uniformField({ stride }: Field, { input, size, start }: Field): Field {
  const reach = (axis: 0 | 1): Reach => ({
    first: () => start[axis],
    last: () => start[axis] + size[axis] - 1,
    period: 1,
  });
  return { input, size, start, stride, reach: [reach(0), reach(1)] };
}

/** If one position is extended to a plane (a resize, a gate that scales a map), all of the plane has the same field. */
const isSpread = ({ values }: Graph, { outputs }: Node, id: ValueId): boolean =>
  values[id]!.shape.slice(2).every((size) => size === 1) &&
  values[outputs[0]!]!.shape.slice(2).some((size) => size > 1);

function union(a: Field, b: Field, isWhole: boolean): Field | null {
  if (a.input !== b.input) return null;
  if (!isWhole && (a.stride[0] !== b.stride[0] || a.stride[1] !== b.stride[1])) return null;
  const start: Pair = [Math.min(a.start[0], b.start[0]), Math.min(a.start[1], b.start[1])];
  const end = (axis: 0 | 1) => Math.max(a.start[axis] + a.size[axis], b.start[axis] + b.size[axis]);
  const reach = [joined(a.reach[0], b.reach[0]), joined(a.reach[1], b.reach[1])] as const;
  return { ...a, start, size: [end(0) - start[0], end(1) - start[1]], reach };
}

/** For a Concat with values that depend on no image, such as zeros around a plane: positions follow the earlier ones. */
function offsetByEarlier(graph: Graph, { operation, inputs }: Node, id: ValueId): Window | null {
  if (operation.kind !== 'concat' || operation.axis < 2) return null;
  const before = inputs.slice(0, inputs.indexOf(id));
  const pad = before.reduce((sum, each) => sum + graph.values[each]!.shape[operation.axis]!, 0);
  const at = (axis: 2 | 3) => (operation.axis === axis ? pad : 0);
  return { kernel: [1, 1], stride: [1, 1], pad: [at(2), at(3)], dilation: [1, 1] };
}

/** The window that a node applies to one of its inputs; null: position by position. */
function windowOf(graph: Graph, node: Node, id: ValueId): Window | null {
  const { operation } = node;
  const shape = graph.values[id]!.shape;
  // A fused residual is added position by position.
  if (id !== node.inputs[0] && operation.kind === 'convolution') return null;
  if (operation.kind === 'convolution') return operation;
  if (operation.kind === 'deconvolution') return { ...operation, isTransposed: true };
  if (operation.kind === 'crop' && operation.offset.length === 4) {
    const [, , top, left] = operation.offset as [number, number, number, number];
    return { kernel: [1, 1], stride: [1, 1], pad: [-top, -left], dilation: [1, 1] };
  }
  if (operation.kind === 'im2col' && isOfPlanes(operation, shape)) {
    const { kernel, stride, pad, dilation } = operation;
    const pair = (list: readonly number[]) => list as unknown as Pair;
    return { kernel: pair(kernel), stride: pair(stride), pad: pair(pad), dilation: pair(dilation) };
  }
  if (operation.kind === 'resize' || operation.kind === 'unpool') {
    const to = graph.values[node.outputs[0]!]!.shape;
    const method = operation.kind === 'resize' ? operation.method : 'nearest';
    const [rows, columns] = [
      resampling(method, shape[2]!, to[2]!),
      resampling(method, shape[3]!, to[3]!),
    ] as const;
    return {
      resized: [rows, columns],
      kernel: [rows.reach, columns.reach],
      stride: [rows.ratio, columns.ratio],
      pad: [-Math.floor(rows.shift), -Math.floor(columns.shift)],
      dilation: [1, 1],
    };
  }
  if (operation.kind === 'normalize' && operation.acrossSpatial) return wholeOf(shape);
  if (operation.kind === 'pooling') return { ...operation, dilation: [1, 1] };
  if (operation.kind === 'stochasticPooling') return { ...operation, pad: [0, 0], dilation: [1, 1] };
  if (operation.kind === 'lrn' && operation.region === 'within')
    return {
      kernel: square(operation.size),
      stride: [1, 1],
      pad: square((operation.size - 1) / 2),
      dilation: [1, 1],
    };
  const output = graph.values[node.outputs[0] ?? id]!.shape;
  if (!givesUpPositions(operation, shape, output)) return null;
  return wholeOf(shape);
}

const wholeOf = (shape: readonly number[]): Window => ({
  kernel: [shape[2] ?? 1, shape[3] ?? 1],
  stride: [1, 1],
  pad: [0, 0],
  dilation: [1, 1],
});

const square = (size: number): Pair => [size, size];

function givesUpPositions(
  operation: Operation,
  input: readonly number[],
  output: readonly number[],
): boolean {
  switch (operation.kind) {
    case 'innerProduct':
    case 'softmaxLoss':
    case 'euclideanLoss':
    case 'accuracy':
    case 'infogainLoss':
    case 'sigmoidCrossEntropyLoss':
    case 'multinomialLogisticLoss':
    case 'hingeLoss':
    case 'contrastiveLoss':
    case 'reduction':
    case 'embed':
      return true;
    case 'reshape':
    case 'concat':
    case 'slice':
    case 'permute':
    case 'im2col':
    case 'argMax':
      return input[2] !== output[2] || input[3] !== output[3];
    default:
      return false;
  }
}
