/**
 * One net at one batch size: its files for torch, its arithmetic, and the lower bound of its time according to the
 * measured ceilings.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { elementCount } from '../../ts/base/shape.ts';
import { toFloat64 } from '../../ts/caffe/blob.ts';
import type { WeightsFile } from '../../ts/caffe/caffemodel.ts';
import { countMacs, parametersOf } from '../../ts/graph/summary.ts';
import { graphFromCaffe, type NetParameter, resnet, runPasses } from '../../ts/index.ts';
import { recipeInput, recipeWeights } from '../../ts/tools/parity/recipe.ts';

const SEED = 20151210;
export type Depth = 50 | 101 | 152;
export const PRECISIONS = ['float16', 'bfloat16', 'tf32', 'float32'] as const;
/** The precisions of training. */
export type Precision = (typeof PRECISIONS)[number];
/** The precisions of forward runs. */
export type ForwardPrecision = Precision | 'int8';

export interface Net {
  readonly depth: Depth;
  readonly net: NetParameter;
  readonly weights: WeightsFile;
}

export function makeNet(depth: Depth): Net {
  const net = resnet({ depth });
  return { depth, net, weights: recipeWeights(graphFromCaffe(net), SEED) };
}

/**
 * For a training step: so small that rounding errors are not amplified while losses are compared. At 1e-4, torch in
 * float32 and in float64 differ by 0.7% after three steps.
 */
export const RATE = 1e-6;
/** The number of training steps whose losses are compared. */
export const COMPARED_STEPS = 5;

/** Classes in an arithmetic sequence. */
export const makeLabels = (batch: number): Float32Array =>
  Float32Array.from({ length: batch }, (_, i) => (i * 37) % 1000);

export const makeInput = (batch: number): Float32Array => recipeInput([batch, 3, 224, 224], SEED);

/**
 * Writes weights.f32, weights.json (each value's key in torch-peer.py's ResNet, its offset and shape), input<N>.f32 and
 * labels<N>.f32.
 */
export function writeForTorch({ weights }: Net, batches: readonly number[], folder: string): void {
  const entries: { key: string; shape: readonly number[]; offset: number; count: number }[] = [];
  const values: Float32Array[] = [];
  let offset = 0;
  const add = (key: string, shape: readonly number[], data: Float64Array) => {
    entries.push({ key, shape, offset, count: data.length });
    values.push(Float32Array.from(data));
    offset += data.length;
  };
  const keyOf = torchModules();
  for (const { name, type, blobs } of weights.layers) {
    const key = keyOf(name);
    const [first, second, third] = blobs.map(toFloat64);
    const shape = blobs[0]!.shape;
    if (type === 'BatchNorm') {
      const factor = third![0]!;
      add(
        `${key}.running_mean`,
        shape,
        first!.map((value) => value / factor),
      );
      add(
        `${key}.running_var`,
        shape,
        second!.map((value) => value / factor),
      );
    } else {
      add(`${key}.weight`, shape, first!);
      if (second !== undefined) add(`${key}.bias`, blobs[1]!.shape, second);
    }
  }
  writeFileSync(join(folder, 'weights.json'), JSON.stringify(entries));
  writeFileSync(
    join(folder, 'weights.f32'),
    Buffer.concat(values.map(({ buffer }) => new Uint8Array(buffer))),
  );
  for (const batch of batches) {
    writeFileSync(join(folder, `input${batch}.f32`), new Uint8Array(makeInput(batch).buffer));
    writeFileSync(join(folder, `labels${batch}.f32`), new Uint8Array(makeLabels(batch).buffer));
  }
}

// res3b2_branch2c → blocks.5.conv3, its bn… and scale… → blocks.5.bn3. Blocks are numbered in order of appearance.
function torchModules(): (layer: string) => string {
  const blocks = new Map<string, number>();
  return (layer) => {
    const [, kind, block, branch] = /^(res|bn|scale)(\d\w*)_branch(1|2[abc])$/.exec(layer) ?? [];
    if (block === undefined) return layer === 'conv1' ? 'conv1' : layer.endsWith('_conv1') ? 'bn1' : 'fc';
    if (!blocks.has(block)) blocks.set(block, blocks.size);
    const index = ['1', '2a', '2b', '2c'].indexOf(branch!);
    return `blocks.${blocks.get(block)}.${kind === 'res' ? 'conv' : 'bn'}${index}`;
  };
}

/** The measured peaks of the GPU: `float16 TFLOP/s` and so on, `bandwidth GB/s`. */
export type Ceilings = Readonly<Record<string, number>>;

/**
 * The lower bound of one run in seconds. For each operation of resnode's plan, it adds the longer of two times: its
 * arithmetic at the measured peak, and its bytes (inputs, outputs and parameters, each once) at the measured bandwidth.
 */
export function rooflineSeconds(
  { net }: Net,
  batch: number,
  precision: Precision,
  ceilings: Ceilings,
): number {
  const graph = runPasses(graphFromCaffe(net, { batch }));
  const size = precision === 'float16' || precision === 'bfloat16' ? 2 : 4;
  const peak = ceilings[`${precision} TFLOP/s`]! * 1e12;
  const bandwidth = ceilings['bandwidth GB/s']! * 1e9;
  return graph.nodes.reduce((sum, node) => {
    const values = [...node.inputs, ...node.outputs].map((id) => elementCount(graph.values[id]!.shape));
    const parameters = parametersOf(node.operation).map((id) => elementCount(graph.parameters[id]!.shape));
    const bytes = size * [...values, ...parameters].reduce((total, each) => total + each, 0);
    return sum + Math.max((2 * countMacs(graph, node)) / peak, bytes / bandwidth);
  }, 0);
}
