/** Which blob of a weights file fills which parameter of a net: Caffe's Net::CopyTrainedLayersFrom. */
import { WeightsError } from '../errors.ts';
import type { Blob } from './blob.ts';
import type { WeightsFile } from './caffemodel.ts';
import { splitNvidiaBlobs } from './nvidia-batch-norm.ts';

export interface LayerReport {
  readonly layer: string;
  /** matched; ignored (the net has no such layer); missing (the file has no such layer); reshaped (legacy dims). */
  readonly status: 'matched' | 'ignored' | 'missing' | 'reshaped';
  readonly detail: string;
}

/**
 * Matches by layer name. Unknown source layers are ignored, missing ones keep their fillers, of duplicate source
 * layers the last wins, number and shape of blobs must match exactly (legacy 4-D shapes left-padded with 1).
 * @param parameters The net's parameters; `layer` owns blob `index`.
 * @param options.strict Ignored layers that hold blobs, and missing ones, are errors. Default false.
 * @returns One blob per parameter (null: missing), and a report per layer.
 * @throws WeightsError naming layer, blob and both shapes.
 */
export function matchWeights(
  parameters: readonly {
    readonly layer: string;
    readonly index: number;
    readonly shape: readonly number[];
  }[],
  weights: WeightsFile,
  options: { strict?: boolean } = {},
): { blobs: (Blob | null)[]; report: LayerReport[] } {
  const { file } = weights;
  const report: LayerReport[] = [];
  const counts = new Map<string, number>();
  for (const { layer, index } of parameters) counts.set(layer, Math.max(counts.get(layer) ?? 0, index + 1));
  const { layers } = splitNvidiaBlobs(weights, (name) => counts.has(name));
  const sources = new Map(layers.map((layer) => [layer.name, layer]));
  const found = new Set<string>();
  for (const layer of sources.values()) {
    const count = counts.get(layer.name);
    if (count === undefined) {
      if (layer.blobs.length > 0)
        report.push({
          layer: layer.name,
          status: 'ignored',
          detail: 'the net has no layer of this name with parameters',
        });
      continue;
    }
    found.add(layer.name);
    if (layer.blobs.length !== count) {
      const nvidia =
        count === 3 && layer.blobs.length === 5
          ? "; five blobs are the BatchNorm of NVIDIA's Caffe with scale and bias inside: write scale_bias: true in its batch_norm_param"
          : '';
      throw new WeightsError(
        'weights/blob-count',
        { file, layer: layer.name },
        `layer "${layer.name}" has ${layer.blobs.length} blobs here, the net needs ${count}${nvidia}; rename the layer in the prototxt to train it from scratch`,
      );
    }
  }
  const blobs = parameters.map(({ layer, index, shape }) => {
    const blob = found.has(layer) ? sources.get(layer)!.blobs[index]! : null;
    if (blob === null) return null;
    if (!sameShape(blob.shape, shape)) {
      throw new WeightsError(
        'weights/shape-mismatch',
        { file, layer },
        `layer "${layer}", blob ${index}: the file has ${show(blob.shape)}, the net needs ${show(shape)}; rename the layer in the prototxt to train it from scratch`,
      );
    }
    return blob;
  });
  for (const layer of counts.keys()) {
    if (!found.has(layer)) {
      report.push({ layer, status: 'missing', detail: 'not in the file; keeps its fillers' });
      continue;
    }
    const reshaped = parameters.some(
      (p, i) => p.layer === layer && blobs[i]!.shape.length !== p.shape.length,
    );
    report.push({
      layer,
      status: reshaped ? 'reshaped' : 'matched',
      detail: reshaped ? 'legacy dimensions' : '',
    });
  }
  const bad = report.find(({ status }) => options.strict && (status === 'ignored' || status === 'missing'));
  if (bad !== undefined)
    throw new WeightsError(
      'weights/strict',
      { file, layer: bad.layer },
      `layer "${bad.layer}" is ${bad.status}: ${bad.detail}`,
    );
  return { blobs, report };
}

function sameShape(source: readonly number[], target: readonly number[]): boolean {
  const extra = source.length - target.length;
  if (extra !== 0 && source.length !== 4) return false;
  return (
    extra >= 0 &&
    source.slice(0, extra).every((dim) => dim === 1) &&
    target.every((dim, i) => dim === source[i + extra])
  );
}

function show(shape: readonly number[]): string {
  return shape.length === 0 ? 'a scalar' : shape.join('×');
}
