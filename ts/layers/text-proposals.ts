/**
 * CTPN's text proposals (github.com/tianzhi0549/CTPN, src/layers/text_proposal_layer.py and src/anchor.py; arXiv:1609.03605,
 * section 3.1): slices of text, 16 pixels wide, of which the net predicts the vertical place and the height. All of them are
 * returned; they are suppressed and joined to lines outside the net.
 */
import { type Shape, showShape } from '../base/shape.ts';
import { buildJavaScript } from './host-function.ts';
import type { Built, LayerContext } from './layer.ts';
import { readPythonParam } from './python-param.ts';
import { checkImage, pixelWithin } from './region-rows.ts';

const HEIGHTS = [11, 16, 23, 33, 48, 68, 97, 139, 198, 283];

/** The fork computes in integers: half a height is rounded down, and the ends of an anchor towards 0. */
const ANCHORS = HEIGHTS.map((height) => {
  const half = Math.floor(height / 2);
  return { top: Math.trunc(7.5 - half), bottom: Math.trunc(7.5 + half) };
});
const [LEFT, RIGHT] = [0, 15];

/** bottoms: scores, [1, 20, H, W]; two deltas for each anchor, [1, 20, H, W]; the image's height, width and scale. */
export function textProposal(context: LayerContext): Built {
  const param = readPythonParam(context.layer, (text, at) => context.fail('proposal', text, at));
  const stride = param.positive('feat_stride');
  const count = ANCHORS.length;
  const [scores, deltas, image] = context.shapes as [Shape, Shape, Shape];
  const [height = 0, width = 0] = scores.slice(2);
  const expected = showShape([1, 2 * count, height, width]);
  if (scores.length !== 4 || showShape(scores) !== expected || showShape(deltas) !== expected)
    context.fail(
      'shape',
      `${count} anchors need scores and deltas of 1×${2 * count}×H×W, found ${showShape(scores)} and ${showShape(deltas)}`,
    );
  checkImage(context, image, 'the third bottom');
  const plane = height * width;
  const rows = plane * count;
  return buildJavaScript(
    {
      shapes: () => [
        [rows, 4],
        [rows, 1],
      ],
      forward([each, moves, size]) {
        const [tall = 0, wide = 0] = size!.data;
        const boxes = new Float32Array(4 * rows);
        const found = new Float32Array(rows);
        for (let place = 0; place < plane; place++)
          ANCHORS.forEach(({ top, bottom }, anchor) => {
            const [x, y] = [(place % width) * stride, Math.floor(place / width) * stride];
            const row = place * count + anchor;
            const side = bottom - top + 1;
            const [move, growth] = [0, 1].map((i) => moves!.data[(2 * anchor + i) * plane + place]!) as [
              number,
              number,
            ];
            const length = Math.exp(growth) * side;
            const start = move * side + y + (top + bottom) / 2 - length / 2;
            boxes.set(
              [
                pixelWithin(LEFT + x, wide),
                pixelWithin(start, tall),
                pixelWithin(RIGHT + x, wide),
                pixelWithin(start + length, tall),
              ],
              4 * row,
            );
            found[row] = each!.data[(count + anchor) * plane + place]!;
          });
        return [boxes, found];
      },
    },
    context,
  );
}
