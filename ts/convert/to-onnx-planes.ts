/** Like to-onnx-operators.ts, for layers that resize, refill or normalise planes, and for the boxes of their cells. */
import { elementCount } from '../base/shape.ts';
import type { LayerWriter } from './layer-writer.ts';
import { arithmeticOf, shapeLike } from './onnx-arithmetic.ts';
import { int, type Of, text } from './onnx-attributes.ts';

export const planeOperators = { normalize, resize, unpool, priorBoxes };

/** scale · x / √(Σx² + eps) */
function normalize(layer: LayerWriter) {
  const p = layer.node.operation as Of<'normalize'>;
  const [x] = layer.inputs as [string];
  const shape = layer.bottoms[0]!;
  const { add, divide, multiply, root, sum } = arithmeticOf(layer);
  const axes = p.acrossSpatial ? shape.map((_, axis) => axis).slice(1) : [1];
  const unit = divide(x, root(add(sum(multiply(x, x), axes), p.eps)));
  const perChannel = [shape[1]!, ...shape.slice(2).map(() => 1)];
  const scale = layer.parameter(p.scale, 'weight', p.channelShared ? [] : perChannel);
  layer.emit('Mul', [unit, scale], {}, layer.outputs);
}

const PLACES = { aligned: 'align_corners', asymmetric: 'asymmetric', halfPixel: 'half_pixel' } as const;

function resize(layer: LayerWriter) {
  const { method } = layer.node.operation as Of<'resize'>;
  const [x] = layer.inputs as [string];
  layer.emit(
    'Resize',
    [x, '', '', shapeLike(layer, x, 2, layer.tops[0]!.slice(2))],
    method === 'nearest'
      ? {
          mode: text('nearest'),
          coordinate_transformation_mode: text('asymmetric'),
          nearest_mode: text('floor'),
        }
      : { mode: text('linear'), coordinate_transformation_mode: text(PLACES[method]) },
    layer.outputs,
  );
}

/** MaxUnpool counts its indices over the whole blob. A mask counts within a plane, and so does this layer. */
function unpool(layer: LayerWriter) {
  const [x, mask] = layer.inputs as [string, string];
  const [, , ...sizes] = layer.tops[0]!;
  const { cast, reshape } = arithmeticOf(layer);
  const inRows = (value: string) => reshape(value, [0, 0, -1]);
  const zeros = layer.emit('ConstantOfShape', [shapeLike(layer, x, 2, [elementCount(sizes)])]);
  const filled = layer.emit('ScatterElements', [zeros, cast(inRows(mask), 'int64'), inRows(x)], {
    axis: int(2),
  });
  layer.emit('Reshape', [filled, layer.integers('shape', [0, 0, ...sizes])], {}, layer.outputs);
}

/** A constant, because it does not depend on computed values. */
function priorBoxes(layer: LayerWriter) {
  const p = layer.node.operation as Of<'priorBoxes'>;
  const boxes = layer.computed('boxes', layer.tops[0]!, () => {
    const places = [];
    for (let row = 0; row < p.height; row++)
      for (let column = 0; column < p.width; column++)
        for (const [i, width] of p.widths.entries()) {
          const x = (column + p.offset) * p.stepWidth + p.xs[i]!;
          const y = (row + p.offset) * p.stepHeight + p.ys[i]!;
          const [right, down] = [width / 2, p.heights[i]! / 2];
          places.push(
            (x - right) / p.imageWidth,
            (y - down) / p.imageHeight,
            (x + right) / p.imageWidth,
            (y + down) / p.imageHeight,
          );
        }
    const clipped = p.clip ? places.map((place) => Math.min(1, Math.max(0, place))) : places;
    return Float32Array.from([...clipped, ...places.map((_, i) => p.variances[i % 4]!)]);
  });
  layer.emit('Identity', [boxes], {}, layer.outputs);
}
