/**
 * Cascade R-CNN's distribution of regions by size (github.com/zhaoweicai/cascade-rcnn): ScaleRoute gives each map of a
 * pyramid its regions (arXiv:1612.03144, section 4.2), and a Concat along the first axis joins them again. A route's top has
 * as many rows as its bottom, with −1 in the invalid rows at its end. The result of the Concat has such rows only at its
 * end.
 */
import { type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { buildJavaScript } from './host-function.ts';
import { infoOf, type JavaScriptBlob, type JavaScriptLayer } from './javascript.ts';
import { ANY, type Built, type LayerContext, type Layers, type Route } from './layer.ts';
import type { Operation } from './operation.ts';
import { regionAt } from './overlap.ts';

export const scaleRouteLayers: Layers = {
  ScaleRoute: { build: scaleRoute, bottoms: ANY, tops: ANY },
};

/** Without low_scale and high_scale, the size that the nearest region is compared with (scale_route_layer.cpp). */
const USUAL_SCALE = 256;

/** scale_route_layer.cpp: the regions with a square root of the area in [low_scale, high_scale), or the nearest one. */
function scaleRoute(context: LayerContext): Built {
  const param = context.layer.scale_route_param;
  const { low_scale: low, high_scale: high } = (param ?? {}) as Partial<Route>;
  const [regions] = context.shapes as [Shape];
  const count = regions[0] ?? 0;
  if (context.topCount !== context.shapes.length)
    context.fail(
      'top-count',
      `needs as many tops as bottoms, found ${context.topCount} and ${context.shapes.length}`,
    );
  if (regions[1] !== 5 || context.shapes.some((shape) => shape[0] !== count))
    context.fail(
      'shape',
      `takes regions R×5 first, then blobs of as many rows; found ${context.shapes.map(showShape).join(', ')}`,
    );
  if (low !== undefined && high !== undefined && low > high)
    context.fail(
      'proposal',
      `high_scale must be at least low_scale, found ${high} and ${low}`,
      positionOf(param, 'high_scale'),
    );
  const range = { low_scale: low ?? 0, high_scale: high ?? Number.POSITIVE_INFINITY };
  const middle =
    low !== undefined && high !== undefined ? Math.sqrt(low * high) : (low ?? high ?? USUAL_SCALE);
  const layer: JavaScriptLayer = {
    shapes: () => context.shapes,
    forward: (bottoms) => {
      const rows = routed(bottoms[0]!.data, range, middle);
      return bottoms.map(({ data }) => {
        const width = data.length / count;
        const top = new Float32Array(data.length).fill(-1);
        rows.forEach((row, i) => top.set(data.subarray(row * width, (row + 1) * width), i * width));
        return top;
      });
    },
  };
  return { ...buildJavaScript(layer, context), rows: 0, route: range };
}

/** The rows of regions that a route selects. Rows of image −1 are not regions. */
function routed(
  regions: Float32Array,
  { low_scale: low, high_scale: high }: Route,
  middle: number,
): number[] {
  const taken: number[] = [];
  let [nearest, distance] = [-1, Number.POSITIVE_INFINITY];
  for (let row = 0; row < regions.length / 5; row++) {
    const [image, x1, y1, x2, y2] = regionAt(regions, row);
    if (image < 0) continue;
    const area = x2 < x1 || y2 < y1 ? 0 : Math.fround(Math.fround(x2 - x1 + 1) * Math.fround(y2 - y1 + 1));
    const scale = Math.fround(Math.sqrt(area));
    if (scale >= low && scale < high) taken.push(row);
    const apart = Math.abs(Math.log2(scale / middle));
    if (apart < distance) [nearest, distance] = [row, apart];
  }
  if (taken.length > 0) return taken;
  if (nearest < 0) throw new Error(whyNone(regions));
  return [nearest];
}

/** The error if no region is in a range or near it. */
function whyNone(regions: Float32Array): string {
  const first = regions.findIndex((value, i) => i % 5 === 0 && !(value < 0));
  if (first < 0) return 'its first bottom has no region';
  const [image, x1, y1, x2, y2] = regions.subarray(first, first + 5);
  return `the regions of its first bottom have no area (the first: image ${image}, ${x1},${y1} to ${x2},${y2})`;
}

/** Whether a layer joins blobs along their first axis. */
export function joinsRows({ type, concat_param: param }: LayerParameter, axes: number): boolean {
  if (type !== 'Concat') return false;
  const { axis, concat_dim } = (param ?? {}) as { axis?: number; concat_dim?: number };
  const first = concat_dim ?? axis ?? 1;
  return first === 0 || first === -axes;
}

/**
 * Computes the order in which the rows of several blobs are joined: the rows of the first blob, then those of the next,
 * with all valid regions before the invalid ones.
 */
export function orderOfRows(context: LayerContext, regions: readonly Shape[], most: number): Operation {
  const layer: JavaScriptLayer = {
    shapes: () => [[most]],
    forward: (parts) => [orderOf(parts, most)],
  };
  const info = { ...infoOf(context.layer, context.state.phase, regions), tops: ['order'] };
  return { kind: 'hostFunction', function: { type: context.layer.type ?? '', info, tops: [[most]], layer } };
}

/** A Concat along the first axis whose last bottom gives the order of its rows. */
export function inOrder(shapes: readonly Shape[]): Built {
  const layer = new Composition(shapes);
  const [order] = layer.bottoms.slice(-1) as [Part];
  const blobs = layer.bottoms.slice(0, -1);
  const [, ...inner] = blobs[0]!.shape;
  const total = blobs.reduce((sum, { shape: [rows = 0] }) => sum + rows, 0);
  const all = layer.one({ kind: 'concat', axis: 0 }, blobs, [total, ...inner]);
  const top = [order.shape[0]!, ...inner];
  return layer.built([layer.one({ kind: 'batchReindex' }, [all, order], top, [true, false])]);
}

/** The valid rows, followed by invalid ones, as indices into the joined blobs. */
function orderOf(parts: readonly JavaScriptBlob[], most: number): Float32Array {
  const [counting, others]: [number[], number[]] = [[], []];
  let first = 0;
  for (const { data, shape } of parts) {
    const rows = shape[0]!;
    const width = data.length / rows;
    for (let row = 0; row < rows; row++) (data[row * width] === -1 ? others : counting).push(first + row);
    first += rows;
  }
  return Float32Array.from([...counting, ...others].slice(0, most));
}

/** A blob that a route made, with the rows of its source. */
export interface Routed {
  readonly route: Route;
  /** The identity of a source. */
  readonly source: number;
  readonly sourceRows: number;
}

/**
 * The largest number of valid rows after joining routes: those of each source, and one more for each of its routes but one,
 * because a route without regions selects one that another route has. If ranges overlap, a region may be in several.
 */
export function mostRows(routes: readonly Routed[]): number {
  let most = 0;
  for (const source of new Set(routes.map((each) => each.source))) {
    const own = routes.filter((each) => each.source === source);
    const sorted = own.map(({ route }) => route).toSorted((a, b) => a.low_scale - b.low_scale);
    const areApart = sorted.every(({ low_scale }, i) => i === 0 || low_scale >= sorted[i - 1]!.high_scale);
    const { sourceRows } = own[0]!;
    const all = sourceRows * own.length;
    most += areApart ? Math.min(all, sourceRows + own.length - 1) : all;
  }
  return most;
}
