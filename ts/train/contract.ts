/** What training is made of, as far as the solver sees it. */
import type { WeightsFile } from '../caffe/caffemodel.ts';
import type { LayerReport } from '../caffe/match-weights.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import type { LoadOptions } from '../runtime/device.ts';
import type { ModelPlan, Outputs, RunOptions } from '../runtime/model.ts';
import type { Inputs, Shapes } from '../runtime/tensor.ts';

export interface UpdateRule {
  readonly type: 'SGD' | 'Nesterov' | 'AdaGrad' | 'RMSProp' | 'AdaDelta' | 'Adam';
  readonly momentum: number;
  readonly momentum2: number;
  readonly delta: number;
  readonly rms_decay: number;
  readonly clip_gradients: number | null;
  readonly iter_size: number;
  readonly weight_decay: number;
  readonly regularization_type: 'L1' | 'L2';
}
export interface TrainOptions {
  readonly model: string | NetParameter;
  readonly level?: number;
  readonly stages?: readonly string[];
  readonly weights?: string | WeightsFile;
  readonly inputShapes?: Shapes;
  readonly batch?: number;
  readonly update: UpdateRule | null;
  readonly history?: readonly Float32Array[];
  readonly seed?: number;
  readonly outputs?: readonly string[];
  readonly recompute?: boolean;
  readonly frozenBatchNorm?: boolean;
}
export interface Learnable {
  readonly layer: string;
  readonly index: number;
  readonly shape: readonly number[];
  readonly lrMult: number;
  readonly decayMult: number;
}
export interface Trainer {
  readonly inputs: Shapes;
  readonly outputs: Shapes;
  readonly lossWeights: Readonly<Record<string, number>>;
  readonly learnable: readonly Learnable[];
  readonly batchNorms: readonly { layer: string; statistics: 'batch' | 'global'; reason: string }[];
  readonly report: readonly LayerReport[];
  step(
    inputs: Inputs,
    schedule: { rate: number; iteration: number; first?: boolean; last?: boolean },
    options?: { signal?: AbortSignal },
  ): Promise<Outputs>;
  gradients(
    inputs: Inputs,
    options?: { topDiffs?: Record<string, Float32Array>; wanted?: readonly string[] },
  ): Promise<{ blobs: Record<string, Float32Array>; parameters: Record<string, Float32Array> }>;
  weights(): Promise<WeightsFile>;
  history(): Promise<Float32Array[]>;
  plan(): ModelPlan;
  dispose(): void;
  [Symbol.dispose](): void;
}
export interface StatisticsDevice {
  load(options: LoadOptions): Promise<
    {
      run(inputs: Inputs, options?: RunOptions): Promise<Outputs>;
      parameter(layer: string, index: number): Promise<Float32Array | null>;
    } & Disposable
  >;
}
