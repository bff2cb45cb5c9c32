/**
 * DeformablePSROIPooling (arXiv:1703.06211, section 2.2, equation 5; Microsoft's deformable_psroi_pooling.cu): each bin of
 * a region is the mean of samples between pixels, and may be moved by an offset, relative to the region's size.
 */
import { roundAway } from '../base/numbers.ts';
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { buildJavaScript } from './host-function.ts';
import type { Built, LayerContext, Layers } from './layer.ts';
import { regionRows } from './region-rows.ts';
import { planesOf } from './window.ts';

export const deformablePoolingLayers: Layers = {
  DeformablePSROIPooling: { build: deformablePooling, bottoms: [2, 3] },
};

interface DeformableParameter {
  readonly spatial_scale?: number;
  readonly output_dim?: number;
  readonly group_size?: number;
  readonly part_size: number;
  readonly sample_per_part: number;
  readonly trans_std: number;
  readonly no_trans: boolean;
}

/** One sample of a bin: four pixels with their shares, and the place of the bin's offset, or −1. */
interface Sample {
  readonly top: number;
  readonly plane: number;
  readonly trans: number;
  readonly count: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The smallest side of a region, in pixels of the map. */
const LEAST = 0.1;

function deformablePooling(context: LayerContext): Built {
  const written = context.layer.deformable_psroi_pooling_param;
  const p = withDefaults<DeformableParameter>('DeformablePSROIPoolingParameter', written);
  const at = (field: string) => positionOf(written, field) ?? 'deformable_psroi_pooling_param';
  const { output_dim: outputs = 0, group_size: bins = 0, spatial_scale: scale = 0 } = p;
  if (outputs < 1 || bins < 1 || !(scale > 0))
    context.fail(
      'regions',
      `spatial_scale, output_dim and group_size must be given and above 0, found ${scale}, ${outputs} and ${bins}`,
      at('output_dim'),
    );
  const [images, channels, height, width] = planesOf(context);
  const [, regions, trans] = context.shapes as [Shape, Shape, Shape?];
  const rows = regionRows(context, regions);
  if (channels !== outputs * bins * bins)
    context.fail(
      'regions',
      `output_dim ${outputs} and group_size ${bins} need ${outputs * bins * bins} channels, found ${channels}`,
      at('output_dim'),
    );
  const moves = p.no_trans ? undefined : trans;
  const parts = p.part_size > 0 ? p.part_size : bins;
  const classes = (moves?.[1] ?? 2) / 2;
  if (!p.no_trans && showShape(trans ?? []) !== showShape([rows, 2 * classes, parts, parts]))
    context.fail(
      'shape',
      `the third bottom must be offsets, ${rows}×2·classes×${parts}×${parts}, unless no_trans is set; found ${trans === undefined ? 'none' : showShape(trans)}`,
      at('part_size'),
    );
  if (!Number.isInteger(classes) || outputs % classes !== 0)
    context.fail(
      'regions',
      `output_dim ${outputs} must be a multiple of the ${classes} classes of offsets`,
      at('output_dim'),
    );
  if (p.sample_per_part < 1)
    context.fail(
      'regions',
      `sample_per_part must be at least 1, found ${p.sample_per_part}`,
      at('sample_per_part'),
    );

  /** Calls back for every sample in the map. */
  function samples(
    boxes: Float32Array,
    offsets: Float32Array | undefined,
    each: (sample: Sample) => void,
  ): void {
    for (let row = 0; row < rows; row++) {
      const image = boxes[5 * row]!;
      if (!(image >= 0 && image < images)) continue;
      const edge = (side: number, more: number) => (roundAway(boxes[5 * row + side]!) + more) * scale - 0.5;
      const [left, top] = [edge(1, 0), edge(2, 0)];
      const [wide, tall] = [Math.max(edge(3, 1) - left, LEAST), Math.max(edge(4, 1) - top, LEAST)];
      for (let channel = 0; channel < outputs; channel++)
        for (let bin = 0; bin < bins * bins; bin++) {
          const [i, j] = [Math.floor(bin / bins), bin % bins];
          const part = [i, j].map((place) => Math.floor((place / bins) * parts)) as [number, number];
          const own = Math.floor(channel / (outputs / classes));
          const moved =
            offsets === undefined ? -1 : ((row * classes + own) * 2 * parts + part[0]) * parts + part[1];
          const move = (axis: 0 | 1) =>
            moved < 0 ? 0 : offsets![moved + axis * parts * parts]! * p.trans_std;
          const [x0, y0] = [
            left + (j * wide) / bins + move(0) * wide,
            top + (i * tall) / bins + move(1) * tall,
          ];
          const found: (readonly [x: number, y: number])[] = [];
          for (let s = 0; s < p.sample_per_part ** 2; s++) {
            const [down, right] = [Math.floor(s / p.sample_per_part), s % p.sample_per_part];
            const x = x0 + (right * wide) / bins / p.sample_per_part;
            const y = y0 + (down * tall) / bins / p.sample_per_part;
            if (x < -0.5 || x > width - 0.5 || y < -0.5 || y > height - 0.5) continue;
            found.push([Math.min(Math.max(x, 0), width - 1), Math.min(Math.max(y, 0), height - 1)]);
          }
          const plane = (image * channels + (channel * bins + i) * bins + j) * height * width;
          for (const [x, y] of found)
            each({
              top: (row * outputs + channel) * bins * bins + bin,
              plane,
              trans: moved,
              count: found.length,
              x,
              y,
              width: wide,
              height: tall,
            });
        }
    }
  }

  /** The four pixels around a sample, with the shares of the sample and their derivatives by x and y. */
  function around({ plane, x, y }: Sample) {
    const [x1, y1, x2, y2] = [Math.floor(x), Math.floor(y), Math.ceil(x), Math.ceil(y)];
    const [dx, dy] = [x - x1, y - y1];
    return [
      [plane + y1 * width + x1, (1 - dx) * (1 - dy), dy - 1, dx - 1],
      [plane + y1 * width + x2, dx * (1 - dy), 1 - dy, -dx],
      [plane + y2 * width + x1, (1 - dx) * dy, -dy, 1 - dx],
      [plane + y2 * width + x2, dx * dy, dy, dx],
    ] as const;
  }

  const top = [rows, outputs, bins, bins];
  return buildJavaScript(
    {
      shapes: () => [top],
      forward([map, boxes, offsets]) {
        const values = new Float64Array(elementCount(top));
        samples(boxes!.data, moves && offsets!.data, (sample) => {
          let sum = 0;
          for (const [pixel, share] of around(sample)) sum += share * map!.data[pixel]!;
          values[sample.top]! += sum / sample.count;
        });
        return [Float32Array.from(values)];
      },
      backward({ bottoms: [map, boxes, offsets], topDiffs: [diffs] }) {
        const ofMap = new Float64Array(map!.data.length);
        const ofOffsets = moves && new Float64Array(offsets!.data.length);
        samples(boxes!.data, moves && offsets!.data, (sample) => {
          const diff = diffs!.data[sample.top]! / sample.count;
          let [byX, byY] = [0, 0];
          for (const [pixel, share, x, y] of around(sample)) {
            ofMap[pixel]! += share * diff;
            byX += x * map!.data[pixel]!;
            byY += y * map!.data[pixel]!;
          }
          if (ofOffsets === undefined) return;
          ofOffsets[sample.trans]! += diff * byX * p.trans_std * sample.width;
          ofOffsets[sample.trans + parts * parts]! += diff * byY * p.trans_std * sample.height;
        });
        const made = [Float32Array.from(ofMap), null, ofOffsets && Float32Array.from(ofOffsets)];
        return context.shapes.map((_, i) => made[i] ?? null);
      },
    },
    context,
  );
}
