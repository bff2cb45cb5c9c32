/** SegAccuracy (DeepLab's fork, also in PSPNet's): the scores of segmentations. */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const segmentationLayers: Layers = {
  SegAccuracy: { build: segAccuracy, bottoms: [2, 2] },
};

/**
 * seg_accuracy_layer.cpp: pixel accuracy, mean recall and mean intersection over union of the batch; with `reset: false`, of
 * all batches since the net was loaded.
 */
function segAccuracy(context: LayerContext): Built {
  const written = context.layer.seg_accuracy_param;
  const p = withDefaults<{ ignore_label?: number[]; output_label?: number[]; reset: boolean }>(
    'SegAccuracyParameter',
    written,
  );
  const [scores, label] = context.shapes as [Shape, Shape];
  const [outer = 1, channels = 1, ...places] = scores;
  const inner = elementCount(places);
  if (scores.length < 2 || channels < 2 || elementCount(label) !== outer * inner)
    context.fail(
      'label-count',
      `takes scores of N×C×H×W, C at least 2, and a label for each position, found ${showShape(scores)} and ${showShape(label)}`,
    );
  if ((p.output_label?.length ?? 0) > 0)
    context.fail(
      'unsupported',
      'output_label, a top for one class, is not supported; resnode evaluate reports the figures of each class',
      positionOf(written, 'output_label'),
    );
  const ignored = p.ignore_label ?? [];
  if (ignored.length > 64)
    context.fail(
      'unsupported',
      `has ${ignored.length} ignore_label, at most 64 are supported`,
      'seg_accuracy_param',
    );
  const layer = new Composition(context.shapes);
  const counts: Shape = [channels, channels];
  const memory = `${context.layer.name ?? ''}/counts`;
  const before: Part[] = p.reset ? [] : [layer.one({ kind: 'recall', memory }, [], counts)];
  const [shares, made] = layer.add(
    { kind: 'segmentationAccuracy', outer, channels, inner, ignored },
    [...layer.bottoms, ...before],
    [[1, 1, 1, 3], counts],
  ) as [Part, Part];
  if (p.reset) return layer.built([shares]);
  const memories = [`${context.layer.name ?? ''}/shares`, memory];
  return layer.built([layer.one({ kind: 'remember', memories }, [shares, made], shares.shape)]);
}
