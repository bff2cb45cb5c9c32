/** Two residual blocks with everything that ResNet training uses, for tests that train quickly. */
import { readNet } from '../../ts/caffe/net-parameter.ts';

const convolution = (name: string, bottom: string, outputs: number, stride = 1) => `
layer { name: "${name}" type: "Convolution" bottom: "${bottom}" top: "${name}"
  convolution_param { num_output: ${outputs} kernel_size: 3 pad: 1 stride: ${stride} bias_term: false weight_filler { type: "msra" } } }
layer { name: "bn_${name}" type: "BatchNorm" bottom: "${name}" top: "${name}" }
layer { name: "scale_${name}" type: "Scale" bottom: "${name}" top: "${name}" scale_param { bias_term: true } }`;
const relu = (blob: string) => `layer { name: "${blob}_relu" type: "ReLU" bottom: "${blob}" top: "${blob}" }`;

/** Inputs data (batch×3×8×8) and label (batch), 4 classes, output loss. */
export const smallTrainingNet = (batch: number) =>
  readNet(
    `name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: ${batch} dim: 3 dim: 8 dim: 8 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: ${batch} } } }
${convolution('conv1', 'data', 16)}
${relu('conv1')}
${convolution('conv2', 'conv1', 16)}
layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "conv2" top: "sum" }
${relu('sum')}
${convolution('conv3', 'sum', 32, 2)}
${relu('conv3')}
layer { name: "pool" type: "Pooling" bottom: "conv3" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 4 weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }`,
    { file: 'small.prototxt' },
  );
