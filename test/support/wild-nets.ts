/**
 * Other people's nets as they would be used: the state in which they have inputs, and shapes that their text does not
 * give.
 */
import { filterNet, type NetParameter } from '../../ts/caffe/net-parameter.ts';
import { supportedLayerTypes } from '../../ts/layers/index.ts';
import type { JavaScriptLayers } from '../../ts/layers/javascript.ts';

/** The layers that a user would keep: for the first phase that has inputs, and for the stages in these layers. */
export function stateOf(net: NetParameter): NetParameter {
  const stages = (net.layer ?? [])
    .filter(({ bottom = [] }) => bottom.length === 0)
    .flatMap(({ include = [] }) => include.flatMap(({ stage = [] }) => stage));
  const inputs = ({ layer = [] }: NetParameter) => layer.some(({ bottom = [] }) => bottom.length === 0);
  const tries = (['TEST', 'TRAIN'] as const).flatMap((phase) => [
    { phase },
    ...stages.map((stage) => ({ phase, stages: [stage] })),
  ]);
  return tries.map((state) => filterNet(net, state)).find(inputs) ?? filterNet(net);
}

/** Shapes of tops of a fork's or Python's data layer, by the names that these nets use. */
function shapeOf(name: string, index: number, side: number, label: number[], file: string): number[] {
  const regions = /BN_1k/.test(file) ? 48 : 1;
  // Class-agnostic nets have boxes for two classes.
  const boxes = /BN_1k/.test(file) ? 4 * 201 : /agnostic|R-FCN|rfcn/.test(file) ? 8 : 4 * 21;
  if (/^rois/.test(name)) return [regions, 5];
  if (/^labels/.test(name)) return [regions, 1, 1, 1];
  if (/^bbox_/.test(name)) return [regions, boxes, 1, 1];
  if (/im_info/.test(name)) return [1, 3];
  if (/gt_boxes/.test(name)) return [4, 5];
  if (/TrailNet|srelu/.test(file) && index === 0) return [1, 3, 180, 320];
  return index === 0 ? [1, 3, side, side] : label;
}

/** Labels of nets that classify every position, a map beside the image, or that read text. */
function labelOf(file: string): number[] {
  if (/enet_train_encoder/.test(file)) return [1, 1, 28, 28];
  if (/fcn8s/.test(file)) return [1, 1, 224, 224];
  if (/FSINet/.test(file)) return [1, 2, 224, 224];
  if (/test_Scale1/.test(file)) return [1, 1, 225, 225];
  if (/test_513/.test(file)) return [1, 1, 513, 513];
  // A text of up to 25 characters.
  if (/crnn/.test(file)) return [1, 25];
  return [1];
}

/** What `--input-shape` would give: an image and labels of batch 1. */
export function shapesFor(net: NetParameter, file: string): Record<string, number[]> {
  const side = /cifar|captcha/i.test(file) ? 32 : /BN_1k/.test(file) ? 233 : 224;
  return Object.fromEntries(
    (net.layer ?? [])
      .filter(
        ({ bottom = [], type = '', transform_param, python_param }) =>
          bottom.length === 0 &&
          ![
            'Input',
            'DummyData',
            'MemoryData',
            'Parameter',
            'ImageGtData',
            'DetectionData',
            'EvalData',
          ].includes(type) &&
          !supportedLayerTypes.includes(type) &&
          // Keeps the configuration of py-faster-rcnn, which does not say that there are boxes for two classes.
          (python_param?.layer !== 'RoIDataLayer' || /stage1_rfcn/.test(file)) &&
          (type === 'ImageLabelmapData' ||
            !(transform_param as { crop_size?: number } | undefined)?.crop_size),
      )
      .flatMap(({ top = [], type, annotated_data_param: boxes }) => {
        const rows = boxes?.yolo_data_type === 1 ? [1, 1, 300, 5] : [1, 1, 1, 8];
        const label = type === 'AnnotatedData' ? rows : labelOf(file);
        return top.map((name, i) => [name, shapeOf(name, i, side, label, file)]);
      }),
  );
}

/** A user's implementations of Python layers, here TrailNet's: an augmentation that is skipped, and a loss. */
export const ownLayers: JavaScriptLayers = {
  'digits_python_layers.TrailAugLayer': {
    shapes: ({ bottoms }) => bottoms,
    forward: (bottoms) => bottoms.map(({ data }) => data),
  },
  'digits_python_layers.CrossEntropySoftmaxWithEntropyLossLayer': {
    shapes: () => [[1]],
    forward: ([scores]) => [Float32Array.of(scores!.data.reduce((sum, value) => sum + value, 0))],
    backward: ({ bottoms: [scores] }) => [scores!.data.map(() => 1), null],
  },
};
