/**
 * Layers of Caffe's forks that are exactly what BVLC's layers are together: Axpy (hujie-frank/SENet), Mish and HardSwish
 * (functions of papers that several forks have).
 * DepthwiseConvolution and ConvolutionDepthwise are in convolution.ts.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { Composition } from './compose.ts';
import type { Built, LayerContext, Layers } from './layer.ts';

export const forkLayers: Layers = {
  Axpy: { build: axpy, bottoms: [3, 3] },
  Mish: { build: mish },
  HardSwish: { build: hardSwish },
};

/** axpy_layer.cpp: a·x + y, one a for each channel of each item: a Scale and an Eltwise. */
function axpy(context: LayerContext): Built {
  const [factors, x, y] = context.shapes as [Shape, Shape, Shape];
  const [items = 1, channels = 1] = x;
  if (showShape(x) !== showShape(y))
    context.fail('shape', `x and y must have one shape, found ${showShape(x)} and ${showShape(y)}`);
  if (x.length < 2 || factors[0] !== items || elementCount(factors) !== items * channels)
    context.fail(
      'shape',
      `the first bottom must have a value for each channel of each item, ${items}×${channels}, found ${showShape(factors)}`,
    );
  const layer = new Composition(context.shapes);
  const [a, of, added] = layer.bottoms;
  const scaled = layer.one(
    {
      kind: 'scale',
      operand: 'scale',
      scale: null,
      bias: null,
      outer: 1,
      channels: items * channels,
      inner: elementCount(x) / (items * channels),
    },
    [of!, a!],
    x,
  );
  return layer.built([layer.sum([scaled, added!])]);
}

/** x · tanh(ln(1 + eˣ)): Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019. */
function mish({ shapes }: LayerContext): Built {
  const layer = new Composition(shapes);
  const [x] = layer.bottoms;
  const softplus = layer.one({ kind: 'bnll', inPlace: false }, [x!], x!.shape);
  const gate = layer.one({ kind: 'tanh' }, [softplus], x!.shape);
  return layer.built([layer.product([x!, gate])]);
}

/** x · relu6(x + 3) / 6: Howard et al., "Searching for MobileNetV3", 2019, section 5.2. */
function hardSwish({ shapes }: LayerContext): Built {
  const layer = new Composition(shapes);
  const [x] = layer.bottoms;
  const linear = layer.one({ kind: 'power', power: 1, scale: 1, shift: 3 }, [x!], x!.shape);
  const clipped = layer.one({ kind: 'clip', min: 0, max: 6, inPlace: false }, [linear], x!.shape);
  const gate = layer.one({ kind: 'power', power: 1, scale: 1 / 6, shift: 0 }, [clipped], x!.shape);
  return layer.built([layer.product([x!, gate])]);
}
