/**
 * Lays cards out with dagre (layered, top to bottom) when the page is written, so that it opens at once.
 * A net is divided at its waists, the cards that every path goes through, such as the end of each residual block. Each piece
 * has its own layout, and equal pieces share one. So equal blocks look equal, and a thousand take little more time than one.
 * Edges from a source, such as the labels, to cards far below run beside the net, because otherwise it would have no waist.
 */
import { requireCarried } from '../../base/carried.ts';
import type { PageEdge } from './page-data.ts';

interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Layout {
  readonly cards: readonly (Size & { readonly x: number; readonly y: number })[];
  readonly edges: readonly PageEdge[];
  readonly width: number;
  readonly height: number;
}

type Edge = readonly [from: number, to: number];
type Point = { x: number; y: number };
const MARGIN = 32;
const ROW_GAP = 36;
const EDGE_GAP = 28;
/** A source's edge that passes more cards than a block has runs beside the net. */
const BLOCK = 24;

/** @param edges Pairs of card indices, each once, without cycles. */
export function placeBoxes(sizes: readonly Size[], edges: readonly Edge[]): Layout {
  const centres: Point[] = sizes.map(() => ({ x: 0, y: 0 }));
  const routes = new Map<Edge, readonly Point[]>();
  const laidOut = new Map<string, Placed>();
  let waist: number | null = null;
  const order = inOrder(sizes.length, edges);
  const beside = edgesBeside(order, edges);
  const sources = new Set([...beside].map(([from]) => from));
  for (const { cards, edges: between } of pieces(
    order,
    edges.filter((edge) => !beside.has(edge)),
  )) {
    const boxes = cards.map((card) => sizes[card]!);
    const places = new Map(cards.map((card, i) => [card, i]));
    const local = between.map(([from, to]): Edge => [places.get(from)!, places.get(to)!]);
    // A source with only such edges is placed above the end of its piece.
    const ends = new Set(between.map(([from]) => from));
    for (const card of cards.slice(0, -1))
      if (sources.has(card) && !ends.has(card)) local.push([places.get(card)!, cards.length - 1]);
    const key = JSON.stringify([boxes.map(({ width, height }) => [width, height]), local]);
    const placed = laidOut.get(key) ?? layOut(boxes, local);
    laidOut.set(key, placed);
    // The previous piece ends with the first card of this one.
    const at: Point = waist === null ? { x: 0, y: 0 } : placed.centres[0]!;
    const shift: Point = waist === null ? at : { x: centres[waist]!.x - at.x, y: centres[waist]!.y - at.y };
    const move = ({ x, y }: Point) => ({ x: x + shift.x, y: y + shift.y });
    cards.forEach((card, i) => {
      centres[card] = move(placed.centres[i]!);
    });
    between.forEach((edge, i) => {
      routes.set(edge, placed.routes[i]!.map(move));
    });
    waist = cards.at(-1)!;
  }
  routeBeside(beside, sizes, centres, routes);
  return framed(sizes, centres, edges, routes);
}

/** The edges from cards without inputs to cards far below them. */
function edgesBeside(order: readonly number[], edges: readonly Edge[]): Set<Edge> {
  const place = placesOf(order);
  const readers = new Set(edges.map(([, to]) => to));
  return new Set(edges.filter(([from, to]) => !readers.has(from) && place[to]! - place[from]! > BLOCK));
}

/** They run down the right side of all cards between their ends, each further out than the previous one. */
function routeBeside(
  beside: ReadonlySet<Edge>,
  sizes: readonly Size[],
  centres: readonly Point[],
  routes: Map<Edge, readonly Point[]>,
): void {
  const edgeOf = (card: number, side: 1 | -1): Point => ({
    x: centres[card]!.x,
    y: centres[card]!.y + (side * sizes[card]!.height) / 2,
  });
  for (const edge of beside) {
    const [begin, end] = [edgeOf(edge[0], 1), edgeOf(edge[1], -1)];
    const rightOf = [
      ...centres.map(({ x, y }, card) => ({ x: x + sizes[card]!.width / 2, y })),
      ...[...routes.values()].flat(),
    ];
    const x =
      EDGE_GAP +
      rightOf.reduce((most, at) => (at.y > begin.y && at.y < end.y ? Math.max(most, at.x) : most), begin.x);
    const [top, bottom] = [begin.y + ROW_GAP / 2, end.y - ROW_GAP / 2];
    const out = [begin, { x: begin.x, y: top }, { x, y: top }, { x, y: top + ROW_GAP }];
    const back = [{ x, y: bottom - ROW_GAP }, { x, y: bottom }, { x: end.x, y: bottom }, end];
    routes.set(edge, [...out, ...back]);
  }
}

function placesOf(order: readonly number[]): number[] {
  const places = new Array<number>(order.length);
  order.forEach((card, i) => {
    places[card] = i;
  });
  return places;
}

/** Divides a graph at its waists. Each piece begins with the last card of the previous one. */
function pieces(order: readonly number[], edges: readonly Edge[]): { cards: number[]; edges: Edge[] }[] {
  const count = order.length;
  const place = placesOf(order);
  const reach = order.map((_, i) => i);
  for (const [from, to] of edges) reach[place[from]!] = Math.max(reach[place[from]!]!, place[to]!);
  const result: { cards: number[]; edges: Edge[] }[] = [];
  const pieceAt: number[] = [];
  let begin = 0;
  let furthest = 0;
  order.forEach((_, i) => {
    const isLast = i === count - 1;
    if (i > 0 && (isLast || (furthest <= i && reach[i]! > i))) {
      result.push({ cards: order.slice(begin, i + 1), edges: [] });
      begin = i;
    }
    pieceAt[i] = result.length;
    furthest = Math.max(furthest, reach[i]!);
  });
  if (count === 1) result.push({ cards: [...order], edges: [] });
  for (const edge of edges) result[Math.min(pieceAt[place[edge[0]]!]!, result.length - 1)]!.edges.push(edge);
  return result;
}

/** Kahn's order. Of several possible cards the earliest comes first. */
function inOrder(count: number, edges: readonly Edge[]): number[] {
  const waiting = new Array<number>(count).fill(0);
  const readers: number[][] = Array.from({ length: count }, () => []);
  for (const [from, to] of edges) {
    waiting[to]!++;
    readers[from]!.push(to);
  }
  const ready = waiting.flatMap((inputs, card) => (inputs === 0 ? [card] : []));
  const order: number[] = [];
  while (ready.length > 0) {
    const [card] = ready.splice(ready.indexOf(Math.min(...ready)), 1) as [number];
    order.push(card);
    for (const reader of readers[card]!) if (--waiting[reader]! === 0) ready.push(reader);
  }
  return order;
}

// Loaded on demand, because most commands draw no net.
let dagre: typeof import('@dagrejs/dagre') | undefined;

/** The centres of cards and the points of edges, in the given order. */
interface Placed {
  readonly centres: readonly Point[];
  readonly routes: readonly (readonly Point[])[];
}

/** @param edges Pairs of indices into `sizes`. */
function layOut(sizes: readonly Size[], edges: readonly Edge[]): Placed {
  dagre ??= requireCarried('@dagrejs/dagre') as typeof import('@dagrejs/dagre');
  const { Graph, layout } = dagre;
  const graph = new Graph();
  graph.setGraph({ rankdir: 'TB', nodesep: 40, edgesep: EDGE_GAP, ranksep: ROW_GAP, ranker: 'longest-path' });
  graph.setDefaultEdgeLabel(() => ({}));
  sizes.forEach((size, i) => {
    graph.setNode(String(i), { ...size });
  });
  for (const [from, to] of edges) graph.setEdge(String(from), String(to));
  layout(graph);
  return {
    centres: sizes.map((_, i) => graph.node(String(i)) as Point),
    routes: edges.map(([from, to]) => (graph.edge(String(from), String(to)) as { points: Point[] }).points),
  };
}

/** Moves everything into a frame that begins at 0, 0. */
function framed(
  sizes: readonly Size[],
  centres: readonly Point[],
  edges: readonly Edge[],
  routes: ReadonlyMap<Edge, readonly Point[]>,
): Layout {
  const round = (value: number) => Math.round(value * 10) / 10;
  const bounds = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  const include = (x: number, y: number) => {
    bounds.left = Math.min(bounds.left, x);
    bounds.right = Math.max(bounds.right, x);
    bounds.top = Math.min(bounds.top, y);
    bounds.bottom = Math.max(bounds.bottom, y);
  };
  sizes.forEach(({ width, height }, i) => {
    include(centres[i]!.x - width / 2, centres[i]!.y - height / 2);
    include(centres[i]!.x + width / 2, centres[i]!.y + height / 2);
  });
  for (const points of routes.values()) for (const { x, y } of points) include(x, y);
  if (sizes.length === 0) include(0, 0);
  const left = bounds.left - MARGIN;
  const top = bounds.top - MARGIN;
  return {
    cards: sizes.map(({ width, height }, i) => ({
      x: round(centres[i]!.x - width / 2 - left),
      y: round(centres[i]!.y - height / 2 - top),
      width,
      height,
    })),
    edges: edges.map((edge) => ({
      from: edge[0],
      to: edge[1],
      points: routes.get(edge)!.flatMap(({ x, y }) => [round(x - left), round(y - top)]),
    })),
    width: round(bounds.right - left + MARGIN),
    height: round(bounds.bottom - top + MARGIN),
  };
}
