/**
 * The extensions of caffe.proto for training and testing YOLO: eric612/MobileNet-YOLO's, and intel/caffe's RegionLoss and
 * EvalDetection.
 */
import type { Messages } from './field-definition.ts';

export const yoloLossEnums: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'Yolov3Parameter.IOU_LOSS': { IOU: 0, GIOU: 1, MSE: 2, DIOU: 3, CIOU: 4 },
  'EvalDetectionParameter.ScoreType': { OBJ: 0, PROB: 1, MULTIPLY: 2 },
};

export const yoloLossMessages: Messages = {
  RegionLossParameter: {
    side: [1, 'uint32', 13],
    num_class: [2, 'uint32', 20],
    bias_match: [3, 'uint32', 1],
    coords: [4, 'uint32', 4],
    num: [5, 'uint32', 5],
    softmax: [6, 'uint32', 1],
    jitter: [7, 'float', 0.2],
    rescore: [8, 'uint32', 1],
    object_scale: [9, 'float', 1],
    class_scale: [10, 'float', 1],
    noobject_scale: [11, 'float', 0.5],
    coord_scale: [12, 'float', 5],
    absolute: [13, 'uint32', 1],
    thresh: [14, 'float', 0.2],
    random: [15, 'uint32', 1],
    biases: [16, '*float'],
    softmax_tree: [17, 'string'],
    class_map: [18, 'string'],
  },
  Yolov3Parameter: {
    side: [1, 'uint32', 13],
    num_class: [2, 'uint32', 20],
    num: [3, 'uint32', 5],
    object_scale: [4, 'float', 1],
    class_scale: [5, 'float', 1],
    noobject_scale: [6, 'float', 0.5],
    coord_scale: [7, 'float', 5],
    thresh: [8, 'float', 0.2],
    anchors_scale: [10, 'uint32', 32],
    biases: [11, '*float'],
    mask: [12, '*uint32'],
    use_logic_gradient: [13, 'bool', false],
    use_focal_loss: [14, 'bool', false],
    iou_loss: [15, 'enum:Yolov3Parameter.IOU_LOSS', 'MSE'],
    iou_normalizer: [16, 'float', 0.25],
    iou_thresh: [17, 'float', 0.5],
    max_delta: [18, 'float', 10],
    accumulate: [19, 'bool', true],
    label_smooth_eps: [20, 'float', 0.1],
  },
  EvalDetectionParameter: {
    side: [1, 'uint32', 7],
    num_class: [2, 'uint32', 20],
    num_object: [3, 'uint32', 2],
    threshold: [4, 'float', 0.5],
    sqrt: [5, 'bool', true],
    constriant: [6, 'bool', true],
    score_type: [7, 'enum:EvalDetectionParameter.ScoreType', 'MULTIPLY'],
    nms: [8, 'float', -1],
    biases: [9, '*float'],
  },
};
