/**
 * The proposals of a feature pyramid in phase TEST (github.com/unsky/FPN, lib/rpn/proposal_layer.py and as_rois.py;
 * arXiv:1612.03144, sections 4.1 and 4.2): the anchors of all maps compete, and each region goes to the map of its size.
 */
import { type Shape, showShape } from '../base/shape.ts';
import { buildJavaScript } from './host-function.ts';
import type { Built, LayerContext } from './layer.ts';
import { type Corners, regionAt } from './overlap.ts';
import { anchorsOf } from './proposal.ts';
import { readPythonParam } from './python-param.ts';
import { checkImage, movedWithin, regionRows } from './region-rows.ts';
import { type Region, suppressed } from './suppression.ts';

/** lib/fast_rcnn/config.py */
const RATIOS = [0.5, 1, 2];
const SCALES = [16, 32];
const MOST = 1000;

/** The distances of the anchors of each map, which param_str lists without brackets. */
function stridesOf(context: LayerContext, maps: number): number[] {
  const text = String(context.layer.python_param?.param_str ?? '');
  const list = /feat_stride['"]?\s*:\s*['"]?([\d\s,]+)/.exec(text)?.[1] ?? '';
  const strides = list
    .split(',')
    .filter((each) => each.trim() !== '')
    .map(Number);
  return strides.length === maps && strides.every((stride) => stride > 0)
    ? strides
    : context.fail(
        'proposal',
        `param_str must give a feat_stride for each of ${maps} maps, such as "'feat_stride': 4,8,16,32,64", found "${text}"`,
        'python_param',
      );
}

/** bottoms: the image's height, width and scale; then the deltas of each map, and the scores of each map. */
export function pyramidProposal(context: LayerContext): Built {
  const [image, ...rest] = context.shapes as [Shape, ...Shape[]];
  const maps = rest.length / 2;
  if (!Number.isInteger(maps))
    context.fail(
      'bottom-count',
      `needs deltas and scores for each map, found ${rest.length} bottoms after the first`,
    );
  const param = readPythonParam(context.layer, (text, at) => context.fail('proposal', text, at));
  const levels = stridesOf(context, maps).map((stride, level) => {
    const anchors = anchorsOf({ base: stride, ratios: RATIOS, scales: SCALES });
    const [deltas, scores] = [rest[level]!, rest[maps + level]!];
    const [height, width] = scores.slice(2) as [number, number];
    const count = anchors.length;
    if (
      showShape(scores) !== showShape([1, 2 * count, height, width]) ||
      showShape(deltas) !== showShape([1, 4 * count, height, width])
    )
      context.fail(
        'shape',
        `${count} anchors need deltas of 1×${4 * count}×H×W and scores of 1×${2 * count}×H×W, found ${showShape(deltas)} and ${showShape(scores)}`,
      );
    return { stride, anchors, height, width };
  });
  checkImage(context, image, 'the first bottom');
  const least = param.number('RPN_MIN_SIZE') ?? 16;
  const before = param.number('RPN_PRE_NMS_TOP_N') ?? 6000;
  const after = param.number('RPN_POST_NMS_TOP_N') ?? MOST;
  const threshold = param.number('RPN_NMS_THRESH') ?? 0.7;
  return buildJavaScript(
    {
      shapes: () => [[after, 5]],
      forward([size, ...blobs]) {
        const [tall = 0, wide = 0, scale = 1] = size!.data;
        const found = levels.flatMap((level, i) =>
          regionsOf(level, blobs[i]!.data, blobs[maps + i]!.data, [tall, wide]),
        );
        const large = found.filter(
          ({ box: [x1, y1, x2, y2] }) => Math.min(x2 - x1, y2 - y1) + 1 >= least * scale,
        );
        const best = large.sort((a, b) => b.score - a.score).slice(0, before);
        const kept = suppressed(best, threshold, 1, 'IOU').slice(0, after);
        const rows = new Float32Array(5 * after);
        // The module fills the top with regions that it draws among those found.
        for (let row = 0; row < after; row++)
          rows.set(kept.length === 0 ? [0, 0, 16, 16] : kept[row % kept.length]!.box, 5 * row + 1);
        return [rows];
      },
    },
    context,
  );
}

interface Level {
  readonly stride: number;
  readonly anchors: readonly Corners[];
  readonly height: number;
  readonly width: number;
}

/** The decoded boxes of the cells that lie in the image. */
function regionsOf(
  { stride, anchors, height, width }: Level,
  deltas: Float32Array,
  scores: Float32Array,
  [tall, wide]: readonly [number, number],
): Region[] {
  const plane = height * width;
  const [rows, columns] = [
    Math.min(height, Math.floor(tall / stride)),
    Math.min(width, Math.floor(wide / stride)),
  ];
  const found: Region[] = [];
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      anchors.forEach(([x1, y1, x2, y2], anchor) => {
        const place = row * width + column;
        const [right, down] = [stride * column, stride * row];
        const box: Corners = [x1 + right, y1 + down, x2 + right, y2 + down];
        found.push({
          score: scores[(anchors.length + anchor) * plane + place]!,
          box: movedWithin(box, (side) => deltas[(4 * anchor + side) * plane + place]!, [tall, wide]),
        });
      });
  return found;
}

/** The map of a region of 224×224 pixels, and the first and the last map. */
const [USUAL, FIRST, LAST] = [4, 2, 5];

/**
 * bottoms: regions. tops: all regions, map by map, and those of each map; as many rows for each map as there may be regions,
 * of which the last are 0.
 */
export function pyramidLevels(context: LayerContext): Built {
  const [regions] = context.shapes as [Shape];
  const rows = regionRows(context, regions, 'the bottom');
  const maps = LAST - FIRST + 1;
  return buildJavaScript(
    {
      shapes: () => [[maps * rows, 5], ...Array.from({ length: maps }, () => [rows, 5])],
      forward([given]) {
        const all = new Float32Array(5 * maps * rows);
        const filled = Array<number>(maps).fill(0);
        for (let row = 0; row < rows; row++) {
          const region = regionAt(given!.data, row);
          const [, x1, y1, x2, y2] = region;
          const area = (x2 - x1) * (y2 - y1);
          const map = Math.floor(USUAL + Math.log2(Math.sqrt(area > 0 ? area : 1e-6) / 224));
          const index = Math.max(FIRST, Math.min(LAST, map)) - FIRST;
          all.set(region, 5 * (index * rows + filled[index]!++));
        }
        return [all, ...filled.map((_, i) => all.slice(5 * i * rows, 5 * (i + 1) * rows))];
      },
    },
    context,
  );
}
