/** What benchmarks use of onnxruntime-node. Its own types come from a development dependency, which may be absent. */
import { createRequire } from 'node:module';

type Values = Readonly<Record<string, { readonly data: Float32Array }>>;

export interface OnnxRuntime {
  InferenceSession: {
    create(
      path: string,
      options: object,
    ): Promise<{ inputNames: string[]; outputNames: string[]; run(feeds: object): Promise<Values> }>;
  };
  Tensor: new (type: string, data: Float32Array, dims: readonly number[]) => object;
}

/** @throws Error of Node.js if it is not installed */
export const loadOnnxRuntime = () => createRequire(import.meta.url)('onnxruntime-node') as OnnxRuntime;
