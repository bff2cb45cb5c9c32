/** Coordinate maps against the positions to which nets move the values of a ramp. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { openDevice } from '../../ts/device/device.ts';
import { coordinateMaps } from '../../ts/graph/coordinate-map.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';

const [HEIGHT, WIDTH] = [12, 20];
const INPUT = `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: ${HEIGHT} dim: ${WIDTH} } } }`;
const CONVOLUTION = `layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 1 kernel_size: 3 stride: 2 bias_term: false weight_filler { type: "constant" value: ${1 / 9} } } }`;
const resize = (settings: string) =>
  `layer { name: "y" type: "ResizeBilinear" bottom: "a" top: "y" resize_bilinear_param { ${settings} } }`;

const nets: Readonly<Record<string, string>> = {
  'Interp, corners on corners': `layer { name: "y" type: "Interp" bottom: "a" top: "y" interp_param { height: 11 width: 23 } }`,
  'ResizeBilinear with align_corners': resize('align_corners: true output_height: 7 output_width: 13'),
  'ResizeBilinear with half_pixel_centers': resize('half_pixel_centers: true scale_height: 2 scale_width: 2'),
  'ResizeBilinear with pytorch_half_pixel': resize(
    'pytorch_half_pixel: true output_height: 3 output_width: 4',
  ),
  'ResizeBilinear of the first corner': resize('output_height: 8 output_width: 12'),
};

for (const [name, layer] of Object.entries(nets))
  test(`${name}: at each position of the top, a ramp has the coordinate that the map gives`, async () => {
    const net = readNet(INPUT + CONVOLUTION + layer, { file: 'net.prototxt' });
    const graph = graphFromCaffe(net);
    const map = coordinateMaps(graph)[graph.blobs.get('y')!]!;
    await using device = await openDevice('reference');
    await using model = await device.load({ model: net });
    for (const axis of [0, 1] as const) {
      const coordinate = (i: number) => (axis === 0 ? Math.floor(i / WIDTH) : i % WIDTH);
      const { y } = await model.run({
        data: Float32Array.from({ length: HEIGHT * WIDTH }, (_, i) => coordinate(i)),
      });
      const [, , tall, wide] = y!.shape as [number, number, number, number];
      const ends = [Math.min(...y!.data), Math.max(...y!.data)];
      let compared = 0;
      for (let i = 0; i < tall * wide; i++) {
        // Beyond the outermost positions of its bottom, a resize repeats them.
        if (ends.includes(y!.data[i]!)) continue;
        const place = axis === 0 ? Math.floor(i / wide) : i % wide;
        const wanted = map.start[axis] + place * map.stride[axis];
        assert.ok(
          Math.abs(y!.data[i]! - wanted) < 1e-4,
          `axis ${axis}, ${place}: ${y!.data[i]} for ${wanted}`,
        );
        compared++;
      }
      assert.ok(compared > 0, `axis ${axis}`);
    }
  });

test.run();
