/**
 * Places cards with dagre (layered, top to bottom), when the page is written, so that it opens at once.
 * A net is cut at its waists (cards that every path goes through, such as the end of each residual block), and each
 * piece laid out alone, equal ones once: equal blocks look equal, and a thousand of them take little more time than one.
 */
import { createRequire } from 'node:module';
import { carried } from '../../base/carried.ts';
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

/** @param edges Pairs of card indices, each once, without cycles. */
export function placeBoxes(sizes: readonly Size[], edges: readonly Edge[]): Layout {
  const centres: Point[] = sizes.map(() => ({ x: 0, y: 0 }));
  const routes = new Map<Edge, readonly Point[]>();
  const laidOut = new Map<string, Placed>();
  let waist: number | null = null;
  for (const { cards, edges: between } of pieces(sizes.length, edges)) {
    const boxes = cards.map((card) => sizes[card]!);
    const places = new Map(cards.map((card, i) => [card, i]));
    const local = between.map(([from, to]): Edge => [places.get(from)!, places.get(to)!]);
    const key = JSON.stringify([boxes.map(({ width, height }) => [width, height]), local]);
    const placed = laidOut.get(key) ?? layOut(boxes, local);
    laidOut.set(key, placed);
    // The piece before ends with the card that this one begins with.
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
  return framed(sizes, centres, edges, routes);
}

/** Cuts a graph at its waists; each piece begins with the card that the one before ends with. */
function pieces(count: number, edges: readonly Edge[]): { cards: number[]; edges: Edge[] }[] {
  const order = inOrder(count, edges);
  const place = order.reduce<number[]>((places, card, i) => Object.assign(places, { [card]: i }), []);
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
  if (count === 1) result.push({ cards: order, edges: [] });
  for (const edge of edges) result[Math.min(pieceAt[place[edge[0]]!]!, result.length - 1)]!.edges.push(edge);
  return result;
}

/** Kahn's order, the earliest card first where there is a choice. */
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

// Loaded when it is needed: whoever draws no net does not wait for it.
let dagre: typeof import('@dagrejs/dagre') | undefined;

/** The middles of cards and the points of edges, in the order in which they were given. */
interface Placed {
  readonly centres: readonly Point[];
  readonly routes: readonly (readonly Point[])[];
}

/** @param edges Pairs of places in `sizes`. */
function layOut(sizes: readonly Size[], edges: readonly Edge[]): Placed {
  dagre ??= createRequire(import.meta.url)(carried('@dagrejs/dagre')) as typeof import('@dagrejs/dagre');
  const { Graph, layout } = dagre;
  const graph = new Graph();
  graph.setGraph({ rankdir: 'TB', nodesep: 40, edgesep: 28, ranksep: 36, ranker: 'longest-path' });
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
