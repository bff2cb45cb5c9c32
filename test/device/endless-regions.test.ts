import assert from 'node:assert/strict';
import { suite } from 'uvu';
import { openDevice, readNet } from '../../ts/index.ts';

const regions = suite('regions without an end');

const layers = {
  ROIPooling: 'roi_pooling_param { pooled_h: 1 pooled_w: 1 }',
  ROIMaskPooling: 'roi_mask_pooling_param { pooled_h: 1 pooled_w: 1 }',
  PSROIPooling: 'psroi_pooling_param { spatial_scale: 1 output_dim: 2 group_size: 1 }',
};
const x = Float32Array.from({ length: 2 * 4 * 5 }, (_, i) => (7 * i) % 40);
const planes = [x.slice(0, 20), x.slice(20)];
const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;

for (const [type, param] of Object.entries(layers))
  for (const kind of ['reference', 'cpu'] as const)
    regions(`${type} of an infinite or huge region reads the whole feature map (${kind})`, async () => {
      const text = `input: "x" input_shape { dim: 1 dim: 2 dim: 4 dim: 5 } input: "r" input_shape { dim: 2 dim: 5 }
        layer { name: "y" type: "${type}" bottom: "x" bottom: "r" top: "y" ${param} }`;
      using device = await openDevice(kind);
      using model = await device.load({ model: readNet(text, { file: 'regions' }) });
      const corners = [Infinity, 1e12].flatMap((far) => [0, -far, -far, far, far]);
      const { y } = await model.run({ x, r: Float32Array.from(corners) });
      const whole = planes.map(type === 'PSROIPooling' ? mean : (plane) => Math.max(...plane));
      assert.deepEqual([...y!.data], [...whole, ...whole]);
    });

regions.run();
