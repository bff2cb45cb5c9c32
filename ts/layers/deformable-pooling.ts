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

/** The sizes of a layer, and its settings. */
interface Pooling {
  readonly images: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly rows: number;
  readonly scale: number;
  readonly outputs: number;
  /** Along each side of a region: bins, samples of a bin, and parts that have offsets. */
  readonly bins: number;
  readonly samples: number;
  readonly parts: number;
  /** Groups of outputs with offsets of their own; 0: bins are not moved. */
  readonly classes: number;
  /** The factor of the offsets. */
  readonly std: number;
}

/** A region on the map, in pixels of the map. */
interface Region {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** One sample of a bin in the map. */
interface Sample {
  /** The index of the bin in the top. */
  readonly bin: number;
  /** The number of samples of the bin. */
  readonly count: number;
  /** The index of the first pixel of its plane, and the place in the plane. */
  readonly plane: number;
  readonly x: number;
  readonly y: number;
  /** The index of the offset along x that moved its bin; −1: none did. */
  readonly offset: number;
  readonly region: Region;
}

/** The smallest side of a region, in pixels of the map. */
const LEAST = 0.1;

function deformablePooling(context: LayerContext): Built {
  const of = checkedPooling(context);
  const top = [of.rows, of.outputs, of.bins, of.bins];
  const isMoved = of.classes > 0;
  return buildJavaScript(
    {
      shapes: () => [top],
      forward([map, boxes, offsets]) {
        const values = new Float64Array(elementCount(top));
        forEachSample(of, boxes!.data, isMoved ? offsets!.data : null, (sample) => {
          let sum = 0;
          for (const [pixel, share] of around(sample, of.width)) sum += share * map!.data[pixel]!;
          values[sample.bin]! += sum / sample.count;
        });
        return [Float32Array.from(values)];
      },
      backward({ bottoms: [map, boxes, offsets], topDiffs: [diffs] }) {
        const ofMap = new Float64Array(map!.data.length);
        const ofOffsets = isMoved ? new Float64Array(offsets!.data.length) : null;
        forEachSample(of, boxes!.data, isMoved ? offsets!.data : null, (sample) => {
          const diff = diffs!.data[sample.bin]! / sample.count;
          let [byX, byY] = [0, 0];
          for (const [pixel, share, x, y] of around(sample, of.width)) {
            ofMap[pixel]! += share * diff;
            byX += x * map!.data[pixel]!;
            byY += y * map!.data[pixel]!;
          }
          if (ofOffsets === null) return;
          ofOffsets[sample.offset]! += diff * byX * of.std * sample.region.width;
          ofOffsets[sample.offset + of.parts ** 2]! += diff * byY * of.std * sample.region.height;
        });
        const made = [Float32Array.from(ofMap), null, ofOffsets && Float32Array.from(ofOffsets)];
        return context.shapes.map((_, i) => made[i] ?? null);
      },
    },
    context,
  );
}

/** The layer's sizes and settings. Refuses those that do not fit each other. */
function checkedPooling(context: LayerContext): Pooling {
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
  const parts = p.part_size > 0 ? p.part_size : bins;
  const classes = p.no_trans ? 0 : (trans?.[1] ?? 2) / 2;
  if (!p.no_trans && showShape(trans ?? []) !== showShape([rows, 2 * classes, parts, parts]))
    context.fail(
      'shape',
      `the third bottom must be offsets, ${rows}×2·classes×${parts}×${parts}, unless no_trans is set; found ${trans === undefined ? 'none' : showShape(trans)}`,
      at('part_size'),
    );
  if (classes > 0 && (!Number.isInteger(classes) || outputs % classes !== 0))
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
  return {
    ...{ images, channels, height, width, rows, scale, outputs, bins, parts, classes },
    samples: p.sample_per_part,
    std: p.trans_std,
  };
}

/** @param offsets Null: bins are not moved. */
function forEachSample(
  of: Pooling,
  boxes: Float32Array,
  offsets: Float32Array | null,
  each: (sample: Sample) => void,
): void {
  const { bins, parts, classes } = of;
  for (let row = 0; row < of.rows; row++) {
    const image = boxes[5 * row]!;
    if (!(image >= 0 && image < of.images)) continue;
    const region = regionOf(boxes.subarray(5 * row, 5 * row + 5), of.scale);
    for (let channel = 0; channel < of.outputs; channel++)
      for (let i = 0; i < bins; i++)
        for (let j = 0; j < bins; j++) {
          const [down, right] = [Math.floor((i / bins) * parts), Math.floor((j / bins) * parts)];
          const own = row * classes + Math.floor((channel * classes) / of.outputs);
          const offset = offsets === null ? -1 : (own * 2 * parts + down) * parts + right;
          const move = (at: number) => (offsets === null ? 0 : offsets[at]! * of.std);
          const x = region.left + (j / bins + move(offset)) * region.width;
          const y = region.top + (i / bins + move(offset + parts ** 2)) * region.height;
          const found = placesOf(of, region, x, y);
          const plane = (image * of.channels + (channel * bins + i) * bins + j) * of.height * of.width;
          const bin = ((row * of.outputs + channel) * bins + i) * bins + j;
          for (const [x, y] of found) each({ bin, count: found.length, plane, x, y, offset, region });
        }
  }
}

function regionOf(box: Float32Array, scale: number): Region {
  const edge = (side: number, more: number) => (roundAway(box[side]!) + more) * scale - 0.5;
  const [left, top] = [edge(1, 0), edge(2, 0)];
  return { left, top, width: Math.max(edge(3, 1) - left, LEAST), height: Math.max(edge(4, 1) - top, LEAST) };
}

/** The places of a bin's samples that are in the map. The bin begins at x, y. */
function placesOf(
  { samples, bins, width, height }: Pooling,
  region: Region,
  x: number,
  y: number,
): (readonly [x: number, y: number])[] {
  const step = (side: number) => side / bins / samples;
  const found: (readonly [number, number])[] = [];
  for (let down = 0; down < samples; down++)
    for (let right = 0; right < samples; right++) {
      const [atX, atY] = [x + right * step(region.width), y + down * step(region.height)];
      if (atX < -0.5 || atX > width - 0.5 || atY < -0.5 || atY > height - 0.5) continue;
      found.push([Math.min(Math.max(atX, 0), width - 1), Math.min(Math.max(atY, 0), height - 1)]);
    }
  return found;
}

/** The four pixels around a sample, with the shares of the sample and their derivatives by x and y. */
function around({ plane, x, y }: Sample, width: number) {
  const [x1, y1, x2, y2] = [Math.floor(x), Math.floor(y), Math.ceil(x), Math.ceil(y)];
  const [dx, dy] = [x - x1, y - y1];
  return [
    [plane + y1 * width + x1, (1 - dx) * (1 - dy), dy - 1, dx - 1],
    [plane + y1 * width + x2, dx * (1 - dy), 1 - dy, -dx],
    [plane + y2 * width + x1, (1 - dx) * dy, -dy, 1 - dx],
    [plane + y2 * width + x2, dx * dy, dy, dx],
  ] as const;
}
