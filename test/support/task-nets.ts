/** Nets with hand-made weights, so that their results are known: bright squares, shades, edges. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { blobFromFloats } from '../../ts/caffe/blob.ts';
import { writeCaffemodel } from '../../ts/caffe/write-caffemodel.ts';

type Values = Readonly<
  Record<string, readonly (readonly [shape: readonly number[], values: readonly number[]])[]>
>;

/** Writes a model folder. */
export function writeModelFolder(
  folder: string,
  model: string,
  values: Values,
  others: { readonly labels?: readonly string[]; readonly preprocess?: object } = {},
): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.prototxt'), model);
  writeCaffemodel(join(folder, 'model.caffemodel'), {
    name: 'net',
    layers: Object.entries(values).map(([name, blobs]) => ({
      name,
      type: '',
      blobs: blobs.map(([shape, data]) => blobFromFloats([...shape], Float32Array.from(data))),
    })),
  });
  if (others.labels !== undefined) writeFileSync(join(folder, 'labels.txt'), others.labels.join('\n'));
  if (others.preprocess !== undefined)
    writeFileSync(
      join(folder, 'preprocess.json'),
      JSON.stringify({ format: 'resnode-preprocess/1', crop: null, mean: [0], ...others.preprocess }),
    );
  return folder;
}

/** Rectangles of grey on black. */
export interface Patch {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** From 0 to 255. Default 255. */
  readonly grey?: number;
}

/** A grey PNG. */
export async function writePatches(
  path: string,
  width: number,
  height: number,
  patches: readonly Patch[],
): Promise<string> {
  const data = new Uint8Array(width * height);
  for (const { x, y, width: columns, height: rows, grey = 255 } of patches)
    for (let row = y; row < y + rows; row++) data.fill(grey, row * width + x, row * width + x + columns);
  await sharp(data, { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toFile(path);
  return path;
}

const input = (side: number) =>
  `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: ${side} dim: ${side} } } }`;
/** The mean brightness of squares, from 0 to 1. */
const brightness = (side: number, pad = 0) =>
  `layer { name: "mean" type: "Convolution" bottom: "data" top: "mean" convolution_param { num_output: 1 kernel_size: ${side} stride: ${side} pad: ${pad} bias_term: false } }`;
const meanOf = (side: number) =>
  [[[1, 1, side, side], Array<number>(side * side).fill(1 / (255 * side * side))]] as const;
/** Scores of two classes, dark and bright, for each position of a mean. */
const WHETHER_BRIGHT = [
  [
    [2, 1, 1, 1],
    [0, 20],
  ],
  [[2], [0, -10]],
] as const;
/** Regressions that leave each box where it is. */
const NOT_MOVED = [
  [
    [4, 1, 1, 1],
    [0, 0, 0, 0],
  ],
  [[4], [0, 0, 0, 0]],
] as const;
const conv = (name: string, bottom: string, outputs: number) =>
  `layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}" convolution_param { num_output: ${outputs} kernel_size: 1 } }`;
const rows = (name: string) => `
layer { name: "${name}_perm" type: "Permute" bottom: "${name}" top: "${name}_perm" permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "${name}_flat" type: "Flatten" bottom: "${name}_perm" top: "${name}_flat" }`;

/** An SSD with 32×32 inputs whose boxes are 16 cells of 8×8; it detects the bright ones. */
export const squareSsd = (folder: string): string =>
  writeModelFolder(
    folder,
    `name: "squares"
${input(32)}
${brightness(8)}
${conv('loc', 'mean', 4)}${rows('loc')}
${conv('conf', 'mean', 2)}${rows('conf')}
layer { name: "prior" type: "PriorBox" bottom: "mean" bottom: "data" top: "prior"
  prior_box_param { min_size: 8 step: 8 variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 } }
layer { name: "conf_reshape" type: "Reshape" bottom: "conf_flat" top: "conf_reshape" reshape_param { shape { dim: 0 dim: -1 dim: 2 } } }
layer { name: "conf_softmax" type: "Softmax" bottom: "conf_reshape" top: "conf_softmax" softmax_param { axis: 2 } }
layer { name: "conf_rows" type: "Flatten" bottom: "conf_softmax" top: "conf_rows" }
layer { name: "found" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_rows" bottom: "prior" top: "found"
  detection_output_param { num_classes: 2 nms_param { nms_threshold: 0.45 top_k: 100 } code_type: CENTER_SIZE keep_top_k: 50 confidence_threshold: 0.01 } }
`,
    {
      mean: meanOf(8),
      loc: NOT_MOVED,
      conf: WHETHER_BRIGHT,
    },
    { labels: ['square'], preprocess: {} },
  );

/**
 * A Faster R-CNN whose anchors are the top left corners, 6×6, of cells of 16×16; it detects the bright cells.
 * @param shift How far the last class moves its boxes to the right, in widths.
 */
export const squareRegions = (folder: string, { shift = 0 } = {}): string =>
  writeModelFolder(
    folder,
    `name: "regions"
${input(64)}
layer { name: "im_info" type: "Input" top: "im_info" input_param { shape { dim: 1 dim: 3 } } }
${brightness(16)}
${conv('rpn_score', 'mean', 2)}
layer { name: "rpn_prob" type: "Softmax" bottom: "rpn_score" top: "rpn_prob" }
${conv('rpn_box', 'mean', 4)}
layer { name: "proposal" type: "Proposal" bottom: "rpn_prob" bottom: "rpn_box" bottom: "im_info" top: "rois"
  proposal_param { feat_stride: 16 base_size: 6 min_size: 4 ratio: 1 scale: 1 pre_nms_topn: 100 post_nms_topn: 10 nms_thresh: 0.7 } }
layer { name: "pool" type: "ROIPooling" bottom: "mean" bottom: "rois" top: "pool" roi_pooling_param { pooled_h: 1 pooled_w: 1 spatial_scale: 0.0625 } }
layer { name: "cls_score" type: "InnerProduct" bottom: "pool" top: "cls_score" inner_product_param { num_output: 3 } }
layer { name: "bbox_pred" type: "InnerProduct" bottom: "pool" top: "bbox_pred" inner_product_param { num_output: 12 } }
layer { name: "cls_prob" type: "Softmax" bottom: "cls_score" top: "cls_prob" }
`,
    {
      mean: meanOf(16),
      rpn_score: WHETHER_BRIGHT,
      rpn_box: NOT_MOVED,
      // Grey is the second class, white the third.
      cls_score: [
        [
          [3, 1],
          [0, 30, 90],
        ],
        [[3], [0, -10, -55]],
      ],
      bbox_pred: [
        [[12, 1], Array<number>(12).fill(0)],
        [[12], [0, 0, 0, 0, 0, 0, 0, 0, shift, 0, 0, 0]],
      ],
    },
    {
      labels: ['background', 'grey', 'white'],
      preprocess: { resize: { shorterSide: 64, longestSide: 100 } },
    },
  );

const pool = (name: string, regions: string) =>
  `layer { name: "${name}" type: "ROIPooling" bottom: "mean" bottom: "${regions}" top: "${name}" roi_pooling_param { pooled_h: 1 pooled_w: 1 spatial_scale: 0.0625 } }`;
const inner = (name: string, bottom: string, outputs: number) =>
  `layer { name: "${name}" type: "InnerProduct" bottom: "${bottom}" top: "${name}" inner_product_param { num_output: ${outputs} } }`;
const softmax = (name: string, bottom: string) =>
  `layer { name: "${name}" type: "Softmax" bottom: "${bottom}" top: "${name}" }`;
const PROPOSING =
  'iou_thr: 0.7 nms_type: "IOU" field_whr: 2 field_xyr: 2 max_nms_num: 100 max_post_nms_num: 10 min_size: 4';

/**
 * An MS-CNN whose proposals are the bright cells of 16×16; grey is the second class, white the third.
 * @param shift How far the last class moves its boxes to the right, in widths.
 */
export const squareMsCnn = (folder: string, { shift = 0 } = {}): string =>
  writeModelFolder(
    folder,
    `name: "mscnn"
${input(64)}
${brightness(16)}
${conv('said', 'mean', 6)}
layer { name: "proposals" type: "BoxOutput" bottom: "said" top: "proposals" top: "proposals_score"
  box_output_param { fg_thr: -5 ${PROPOSING} field_h: 16 field_w: 16 downsample_rate: 16 } }
${pool('pool', 'proposals')}
${inner('cls_pred', 'pool', 3)}
${inner('bbox_pred', 'pool', 12)}
`,
    {
      mean: meanOf(16),
      said: [
        [
          [6, 1, 1, 1],
          [0, 20, 0, 0, 0, 0],
        ],
        [[6], [0, -10, 0, 0, 0, 0]],
      ],
      cls_pred: [
        [
          [3, 1],
          [0, 30, 90],
        ],
        [[3], [0, -10, -55]],
      ],
      bbox_pred: [
        [[12, 1], Array<number>(12).fill(0)],
        [[12], [0, 0, 0, 0, 0, 0, 0, 0, shift, 0, 0, 0]],
      ],
    },
    { labels: ['background', 'grey', 'white'], preprocess: {} },
  );

/**
 * A Cascade R-CNN of two stages whose proposals are the bright cells of 16×16. Each stage moves them by a sixteenth of
 * their width, one pixel. The first stage is sure of bright cells; the second gives all classes equal scores.
 */
export const squareCascade = (folder: string): string => {
  const decode = (name: string, deltas: string, regions: string) =>
    `layer { name: "${name}" type: "DecodeBBox" bottom: "${deltas}" bottom: "${regions}" top: "${name}"
  bbox_reg_param { bbox_mean: 0 bbox_mean: 0 bbox_mean: 0 bbox_mean: 0 bbox_std: 0.125 bbox_std: 0.125 bbox_std: 0.2 bbox_std: 0.2 } }`;
  const deltas = [
    [[8, 1], Array<number>(8).fill(0)],
    [[8], [9, 9, 9, 9, 0.5, 0, 0, 0]],
  ] as const;
  const sure = [
    [
      [2, 1],
      [0, 40],
    ],
    [[2], [0, -20]],
  ] as const;
  return writeModelFolder(
    folder,
    `name: "cascade"
${input(64)}
${brightness(16)}
${conv('rpn_cls', 'mean', 2)}
${softmax('rpn_prob', 'rpn_cls')}
${conv('rpn_bbox', 'mean', 4)}
layer { name: "proposals" type: "BoxGroupOutput" bottom: "rpn_prob" bottom: "rpn_bbox" top: "proposals"
  box_group_output_param { fg_thr: 0.5 ${PROPOSING} box_group_param { field_w: 16 field_h: 16 stride: 16 } } }
${pool('pool', 'proposals')}
${inner('cls_pred', 'pool', 2)}
${softmax('cls_prob', 'cls_pred')}
${inner('bbox_pred', 'pool', 8)}
${decode('output_bbox', 'bbox_pred', 'proposals')}
${decode('proposals_2nd', 'bbox_pred', 'proposals')}
${pool('pool_2nd', 'proposals_2nd')}
${inner('bbox_pred_2nd', 'pool_2nd', 8)}
${decode('output_bbox_2nd', 'bbox_pred_2nd', 'proposals_2nd')}
${inner('cls_pred_2nd', 'pool_2nd', 2)}
${softmax('cls_prob_2nd', 'cls_pred_2nd')}
${inner('cls_pred_1st_2nd', 'pool_2nd', 2)}
${softmax('cls_prob_1st_2nd', 'cls_pred_1st_2nd')}
layer { name: "cls_prob_2nd_avg" type: "Eltwise" bottom: "cls_prob_2nd" bottom: "cls_prob_1st_2nd" top: "cls_prob_2nd_avg" eltwise_param { coeff: 0.5 coeff: 0.5 } }
`,
    {
      mean: meanOf(16),
      rpn_cls: WHETHER_BRIGHT,
      rpn_bbox: NOT_MOVED,
      cls_pred: sure,
      cls_pred_1st_2nd: sure,
      cls_pred_2nd: [
        [
          [2, 1],
          [0, 0],
        ],
        [[2], [0, 0]],
      ],
      bbox_pred: deltas,
      bbox_pred_2nd: deltas,
    },
    { labels: ['bright'], preprocess: {} },
  );
};

/** Layers that may follow the scores of `shadeNet`. */
export const SHADE_ENDS = {
  none: '',
  softmax: 'layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }',
  argmax: 'layer { name: "best" type: "ArgMax" bottom: "score" top: "best" argmax_param { axis: 1 } }',
  flat: `layer { name: "best" type: "ArgMax" bottom: "score" top: "best" argmax_param { axis: 1 } }
layer { name: "turned" type: "Permute" bottom: "best" top: "turned" permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "list" type: "Flatten" bottom: "turned" top: "list" }`,
  deconvolution: `layer { name: "up" type: "Deconvolution" bottom: "score" top: "up" convolution_param { num_output: 3 group: 3 kernel_size: 4 stride: 4 bias_term: false } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "crop" crop_param { axis: 2 offset: 4 } }`,
} as const;

/** Black, grey and white as three classes, in squares of 4×4; fully convolutional. */
export const shadeNet = (
  folder: string,
  end: keyof typeof SHADE_ENDS = 'none',
  others: Parameters<typeof writeModelFolder>[3] = {},
): string =>
  writeModelFolder(
    folder,
    `name: "shades"
${input(16)}
${brightness(4, end === 'deconvolution' ? 4 : 0)}
${conv('score', 'mean', 3)}
${SHADE_ENDS[end]}
`,
    {
      mean: meanOf(4),
      score: [
        [
          [3, 1, 1, 1],
          [0, 3, 9],
        ],
        [[3], [0, -1, -5]],
      ],
      ...(end === 'deconvolution' ? { up: [[[3, 1, 4, 4], Array<number>(48).fill(1)]] as const } : {}),
    },
    { labels: ['black', 'grey', 'white'], preprocess: {}, ...others },
  );

/** Detects changes of brightness from left to right, with HED's last layers: a concat of maps, and a Sigmoid of one. */
export const edgeNet = (folder: string): string =>
  writeModelFolder(
    folder,
    `name: "edges"
${input(16)}
layer { name: "change" type: "Convolution" bottom: "data" top: "change" convolution_param { num_output: 1 kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1 } }
layer { name: "side" type: "Sigmoid" bottom: "change" top: "side" }
layer { name: "fuse" type: "Power" bottom: "change" top: "fuse" power_param { scale: 2 } }
layer { name: "sigmoid-fuse" type: "Sigmoid" bottom: "fuse" top: "sigmoid-fuse" }
`,
    {
      change: [
        [
          [1, 1, 1, 3],
          [-10 / 255, 0, 10 / 255],
        ],
        [[1], [-5]],
      ],
    },
    { preprocess: {} },
  );
