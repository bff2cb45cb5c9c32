/**
 * Finds DetectionOutput, Proposal, PSROIPooling and Cascade R-CNN's ROIAlign again in a model that resnode wrote. The
 * constants suggest a layer. It is accepted if the nodes that this layer is written as equal the model's nodes.
 */
import type { LayerParameter } from '../caffe/net-parameter.ts';
import type { OnnxModel, OnnxNode } from './onnx-proto.ts';
import { type Candidate, Subgraph } from './onnx-subgraph.ts';

/** A layer that replaces the nodes it was written as. */
export interface WholeLayer {
  readonly layer: LayerParameter & { readonly type: string };
  /** The layer's bottoms and tops. */
  readonly node: OnnxNode;
}

/** The found layers, by the node that makes the first top. */
export function wholeLayers(model: OnnxModel): Map<OnnxNode, WholeLayer> {
  const found = new Map<OnnxNode, WholeLayer>();
  const graph = new Subgraph(model);
  for (const node of model.nodes) {
    const output = node.outputs[0];
    if (output === undefined || !Object.hasOwn(CANDIDATES, node.type)) continue;
    for (const candidate of CANDIDATES[node.type]!.flatMap((make) => make(graph, output))) {
      const places = graph.find(output, candidate);
      if (places === null) continue;
      const { layer } = candidate;
      const made = { name: node.name, type: layer.type, domain: '', attributes: new Map() };
      found.set(node, { layer, node: { ...made, inputs: places.bottoms, outputs: places.tops } });
      break;
    }
  }
  return found;
}

/** The rules, by the type of a layer's last node. */
const CANDIDATES: Readonly<Record<string, readonly ((graph: Subgraph, output: string) => Candidate[])[]>> = {
  Reshape: [detectionOutputs],
  Concat: [proposals],
  Where: [psRoiPoolings, cornerAligns],
};

/** A threshold below every score. */
const LEAST_FLOAT = -3.4028234663852886e38;
const either = [false, true];
/** ts/layers/proposal.ts supports no more. */
const MOST_ANCHORS = 64;
/** More images would not be a batch. */
const MOST_IMAGES = 4096;

function detectionOutputs(graph: Subgraph, output: string): Candidate[] {
  const last = graph.up(output, 'Reshape');
  if (graph.list(last?.inputs[1])?.join() !== '1,1,-1,7') return [];
  const joined = graph.up(last?.inputs[0], ['Slice', 0], 'Concat');
  const [images = 0] = graph.constant(joined?.inputs[1])?.shape ?? [];
  const all = joined?.inputs[0];
  const first = images > 1 ? graph.up(all, 'Concat')?.inputs[0] : all;
  const cut = graph.up(first, 'Gather');
  const rows = graph.up(cut === null ? first : cut.inputs[0], 'Concat');
  const keep = graph.up(cut?.inputs[1], ['TopK', 1], 'Min');
  const label = graph.up(rows?.inputs[1], 'Gather');
  const labels = graph.floats(label?.inputs[0]);
  const kept = graph.up(label?.inputs[1], ['Slice', 0], 'NonMaxSuppression');
  const best = graph.up(kept?.inputs[1], ['Reshape', 0], 'TopK');
  const sizes = graph.list(graph.up(best?.inputs[0], ['Gather', 0], 'Reshape')?.inputs[1]);
  const [overlap, least] = [graph.floats(kept?.inputs[3]), graph.floats(kept?.inputs[4])];
  const compared = graph.list(kept?.inputs[2]);
  if (!labels || !sizes || !overlap || !least || !compared || !(images >= 1 && images <= MOST_IMAGES))
    return [];
  const [classes, priors] = sizes as [number, number];
  if (classes !== labels.length && classes !== labels.length + 1) return [];
  const background = Array.from({ length: classes }, (_, i) => i).find((i) => !labels.includes(i)) ?? -1;
  const [top] = compared as [number];
  const found = {
    num_classes: classes,
    background_label_id: background,
    nms_param: { nms_threshold: overlap[0]!, ...(top < priors ? { top_k: top } : {}) },
    keep_top_k: graph.list(keep?.inputs[1])?.[0] ?? -1,
    ...(least[0]! <= LEAST_FLOAT ? {} : { confidence_threshold: least[0]! }),
  };
  return either.flatMap((share_location) =>
    ['CENTER_SIZE', 'CORNER', 'CORNER_SIZE'].flatMap((code_type) =>
      either.flatMap((variance_encoded_in_target) =>
        either.map((clip): Candidate => {
          const variant = {
            share_location,
            code_type,
            variance_encoded_in_target,
            ...(clip ? { clip } : {}),
          };
          const sets = share_location ? 1 : classes;
          return {
            layer: { type: 'DetectionOutput', detection_output_param: { ...found, ...variant } },
            bottoms: [
              [images, priors * sets * 4],
              [images, priors * classes],
              [1, 2, priors * 4],
            ],
          };
        }),
      ),
    ),
  );
}

function proposals(graph: Subgraph, output: string): Candidate[] {
  const last = graph.up(output, 'Concat');
  const kept = graph.up(last?.inputs[0], ['Mul', 0], ['Cast', 0], ['Slice', 0], 'NonMaxSuppression');
  const counted = graph.up(kept?.inputs[1], ['Reshape', 0], ['TopK', 0], 'Where');
  const least = graph.up(counted?.inputs[0], ['GreaterOrEqual', 1], 'Mul');
  const low = graph.up(last?.inputs[1], ['Gather', 0], ['Gather', 0], ['Concat', 0], ['Max', 0], ['Min', 0]);
  const at = graph.up(low?.inputs[0], ['Sub', 0], 'Add');
  const centres = graph.floats(at?.inputs[1]);
  const sizes = graph.floats(graph.up(at?.inputs[0], 'Mul')?.inputs[1]);
  const scores = graph.up(counted?.inputs[1], ['Reshape', 0], ['Transpose', 0], 'Reshape');
  const [anchors, cells] = graph.list(scores?.inputs[1]) ?? [];
  const [before] = graph.list(graph.up(kept?.inputs[1], ['Reshape', 0], 'TopK')?.inputs[1]) ?? [];
  const [most] = graph.list(kept?.inputs[2]) ?? [];
  const [overlap] = graph.floats(kept?.inputs[3]) ?? [];
  const [minSize] = graph.floats(least?.inputs[1]) ?? [];
  if (!centres || !sizes || !anchors || !cells || anchors > MOST_ANCHORS) return [];
  if (centres.length !== 2 * anchors * cells || sizes.length !== centres.length) return [];
  if (before === undefined || most === undefined || overlap === undefined || minSize === undefined) return [];
  const step = 2 * anchors;
  // Cells of one row have the same centre in y.
  const isNext = Array.from({ length: cells }, (_, cell) => centres[cell * step + 1] !== centres[1]);
  const width = isNext.includes(true) ? isNext.indexOf(true) : cells;
  const stride = width > 1 ? centres[step]! - centres[0]! : (centres[step + 1] ?? 1) - centres[1]!;
  const shape = [cells / width, width];
  return anchorsOf(sizes.subarray(0, step), 2 * centres[0]!).flatMap((grid) =>
    [2, 1].map((topCount) => ({
      layer: {
        type: 'Proposal',
        proposal_param: {
          feat_stride: stride,
          ...grid,
          min_size: minSize,
          pre_nms_topn: before,
          post_nms_topn: most,
          nms_thresh: overlap,
        },
      },
      bottoms: [
        [1, 2 * anchors, ...shape],
        [1, 4 * anchors, ...shape],
        [1, 3],
      ],
      topCount,
    })),
  );
}

/** The largest difference that rounding makes between the sides of an anchor and those of a square with some ratio. */
const MOST_ROUNDED = 3;

/**
 * Recovers the base, ratios and scales of anchors: a square of `base` pixels in every ratio, rounded, at every scale.
 */
function anchorsOf(sides: Float32Array, base: number) {
  const count = sides.length / 2;
  const perRatio = Array.from({ length: count }, (_, i) => i + 1).filter((each) => count % each === 0);
  return perRatio.flatMap((scales) => {
    const first = Array.from({ length: count / scales }, (_, i) => 2 * i * scales);
    // For every ratio the area is about that of the base.
    const about = Math.round((base * sides[0]!) / Math.sqrt(sides[0]! * sides[1]!));
    const widths = Array.from({ length: 2 * MOST_ROUNDED + 1 }, (_, i) => about + i - MOST_ROUNDED);
    return widths.flatMap((width) => {
      const ratio = first.map((i) =>
        ratioOf(base, (sides[i]! * width) / sides[0]!, (sides[i + 1]! * width) / sides[0]!),
      );
      const scale = Array.from({ length: scales }, (_, s) => sides[2 * s]! / width);
      return ratio.every((each) => each !== null) ? [{ base_size: base, ratio, scale }] : [];
    });
  });
}

/** The shortest ratio that gives this rectangle after rounding; null if its sides are not integers. */
function ratioOf(base: number, width: number, height: number): number | null {
  if ([width, height].some((side) => Math.abs(side - Math.round(side)) > 1e-4)) return null;
  const low = Math.max((base / (width + 0.5)) ** 2, (height - 0.5) / width);
  const high = Math.min((base / (width - 0.5)) ** 2, (height + 0.5) / width);
  const middle = (low + high) / 2;
  const shortest = [0, 1, 2, 3, 4, 5].map((digits) => Number(middle.toFixed(digits)));
  return shortest.find((each) => each >= low && each <= high) ?? null;
}

function psRoiPoolings(graph: Subgraph, output: string): Candidate[] {
  const sum = graph.up(output, ['Where', 1], ['Cast', 0], ['Div', 0], ['Sub', 0], ['Add', 0], 'Gather');
  const index = graph.up(sum?.inputs[1], 'Add');
  const planes = graph.up(index?.inputs[0], ['Mul', 0], ['Add', 0], 'Mul');
  const channels = graph.constant(graph.up(planes?.inputs[0], ['Add', 1], 'Cast')?.inputs[0])?.shape;
  const [rows] = graph.list(planes?.inputs[1]) ?? [];
  const [columns] = graph.list(graph.up(index?.inputs[0], 'Mul')?.inputs[1]) ?? [];
  const edge = graph.up(index?.inputs[1], ['Reshape', 0], ['Cast', 0], ['Max', 0], 'Min');
  const start = graph.up(edge?.inputs[0], ['Ceil', 0], ['Add', 1], ['Slice', 0], 'Mul');
  const [spatial_scale] = graph.floats(start?.inputs[1]) ?? [];
  if (!channels || rows === undefined || columns === undefined || spatial_scale === undefined) return [];
  const [, output_dim, group_size] = channels as [number, number, number];
  return [
    {
      layer: { type: 'PSROIPooling', psroi_pooling_param: { spatial_scale, output_dim, group_size } },
      bottoms: [
        [1, output_dim * group_size ** 2, rows - 1, columns - 1],
        [1, 5],
      ],
    },
  ];
}

function cornerAligns(graph: Subgraph, output: string): Candidate[] {
  const last = graph.up(output, 'Where');
  const aligned = graph.up(last?.inputs[1], 'RoiAlign');
  const start = graph.up(aligned?.inputs[1], ['Concat', 0], ['Sub', 0], 'Mul');
  const [spatial_scale] = graph.floats(start?.inputs[1]) ?? [];
  const inside = graph.up(last?.inputs[0], 'And');
  const [width, height] = [0, 1].map((axis) => {
    const beyond = graph.up(
      inside?.inputs[axis],
      ['Reshape', 0],
      ['And', 0],
      ['And', 1],
      ['GreaterOrEqual', 0],
      'Sub',
    );
    return graph.floats(beyond?.inputs[0])?.[0];
  });
  const [wide, tall] = ['output_width', 'output_height'].map((name) => aligned?.attributes.get(name)?.value);
  if (spatial_scale === undefined || width === undefined || height === undefined) return [];
  if (typeof wide !== 'number' || typeof tall !== 'number') return [];
  const roi_pooling_param = { pooled_h: tall - 1, pooled_w: wide - 1, spatial_scale };
  const bottoms = [
    [1, 1, height, width],
    [1, 5],
  ];
  return [{ layer: { type: 'ROIAlign', roi_pooling_param }, bottoms }];
}
