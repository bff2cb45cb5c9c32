/** Layers of forks that are layers of another name here, and the fields with their parameters. */
import { inheritPosition, type Message } from './message.ts';

interface OtherName {
  readonly type: string;
  readonly fields?: Readonly<Record<string, string>>;
}

const NAMES: Readonly<Record<string, OtherName>> = {
  // makefile/frcnn registers cuDNN's deconvolution under a name of its own.
  CuDNNDeconvolution: { type: 'Deconvolution' },
  // HyeonwooNoh/caffe: BVLC's Accuracy, which later took every position, too.
  EltwiseAccuracy: { type: 'Accuracy', fields: { eltwise_accuracy_param: 'accuracy_param' } },
  // aovoc/caffe
  HSwish: { type: 'HardSwish' },
};

export function renameForkLayer(layer: Message): Message {
  const type = layer.type as string | undefined;
  const known = type !== undefined && Object.hasOwn(NAMES, type) ? NAMES[type] : undefined;
  if (known === undefined) return layer;
  const renamed: Message = Object.fromEntries(
    Object.entries(layer).map(([field, value]) => [known.fields?.[field] ?? field, value]),
  );
  renamed.type = known.type;
  inheritPosition(renamed, layer);
  return renamed;
}
