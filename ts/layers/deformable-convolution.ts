/**
 * DeformableConvolution (arXiv:1703.06211; github.com/unsky/Deformable-ConvNets-caffe and other forks): a second bottom
 * has an offset for the position of each tap of a window. It becomes a bilinear sample for each tap, and a 1×1
 * convolution of all of them.
 */
import { elementCount, type Shape, showShape } from '../base/shape.ts';
import { positionOf } from '../caffe/message.ts';
import { withDefaults } from '../caffe/net-parameter.ts';
import { Composition, type Part } from './compose.ts';
import { hostFunction } from './host-function.ts';
import { type Built, checkTop, type LayerContext, type Layers } from './layer.ts';
import { unfused } from './operation.ts';
import { columnsOf, spatialWindow } from './spatial-window.ts';
import { planesOf } from './window.ts';

export const deformableLayers: Layers = {
  DeformableConvolution: { build: deformableConvolution, bottoms: [2, 2] },
};

interface DeformableParameter {
  readonly num_output?: number;
  readonly bias_term: boolean;
  readonly group: number;
  readonly deformable_group?: number;
  readonly weight_filler?: object;
  readonly bias_filler?: object;
}

/** Each of them becomes a few operations. */
const MOST_TAPS = 1024;

/**
 * deformable_im2col.cu. Offsets are a row and a column for each tap, separately for each group of channels. Values
 * outside the first and last pixels are 0. (If there are several groups, the first fork divides the height by their
 * number.)
 */
function deformableConvolution(context: LayerContext): Built {
  const written = context.layer.deformable_convolution_param;
  const p = withDefaults<DeformableParameter>('DeformableConvolutionParameter', written);
  const at = (field: string) => positionOf(written, field) ?? 'deformable_convolution_param';
  const [items, channels] = planesOf(context);
  // It has the fields of a Convolution.
  const layer = { ...context.layer, ...(written === undefined ? {} : { convolution_param: written }) };
  const plain = { ...context, layer, shapes: context.shapes.slice(0, 1) };
  const window = spatialWindow(plain);
  const [height, width] = columnsOf(plain, window).windows as [number, number];
  const [rows, columns] = window.kernel as [number, number];
  const taps = rows * columns;
  const [x, offsets] = context.shapes as [Shape, Shape];
  const groups = (offsets[1] ?? 0) / (2 * taps);
  const outputs = p.num_output ?? 0;
  if (outputs < 1) context.fail('num-output', 'num_output must be given and at least 1', at('num_output'));
  if (p.group < 1 || channels % p.group !== 0 || outputs % p.group !== 0)
    context.fail(
      'group',
      `group ${p.group} must divide the ${channels} channels and num_output ${outputs}`,
      at('group'),
    );
  const expected = [items, 2 * taps * (p.deformable_group ?? 1), height, width];
  if (
    offsets.length !== 4 ||
    showShape(offsets) !== showShape([items, 2 * taps * groups, height, width]) ||
    !Number.isInteger(groups) ||
    groups < 1 ||
    groups !== (p.deformable_group ?? groups)
  )
    context.fail(
      'shape',
      `needs a row and a column for each of ${taps} taps and deformable_group, ${showShape(expected)}${p.deformable_group === undefined ? ' or a multiple of its channels' : ''}, found ${showShape(offsets)}`,
    );
  if (channels % groups !== 0 || taps * groups > MOST_TAPS)
    context.fail(
      'group',
      `${groups} groups of offsets must divide the ${channels} channels, and there may be ${MOST_TAPS} taps in all, found ${taps * groups}`,
      at('deformable_group'),
    );
  const top = [items, outputs, height, width];
  checkTop(context, top);
  checkTop(context, [items, channels * taps, height, width]);
  const weights = context.parameter([outputs, channels / p.group, rows, columns], p.weight_filler);
  const bias = p.bias_term ? context.parameter([outputs], p.bias_filler) : null;
  const made = new Composition(context.shapes);
  const perGroup = channels / groups;
  const own = groupsOf(made, made.bottoms[0]!, groups);
  const steps = window.stride as readonly [number, number];
  const places = steps.every((step) => step === 1)
    ? null
    : placesOf(context, made, steps, [items, 2, height, width]);
  const coordinates = made.add(
    { kind: 'slice', axis: 1 },
    [made.bottoms[1]!],
    Array.from({ length: 2 * taps * groups }, () => [items, 1, height, width]),
  );
  const shifted = (part: Part, shift: number) =>
    shift === 0 ? part : made.one({ kind: 'power', power: 1, scale: 1, shift }, [part], part.shape);
  const sampled = own.map((of, group) => {
    const each = Array.from({ length: taps }, (_, tap) => {
      const [i, j] = [Math.floor(tap / columns), tap % columns];
      const first = 2 * (group * taps + tap);
      const row = shifted(coordinates[first]!, i * window.dilation[0]! - window.pad[0]!);
      const column = shifted(coordinates[first + 1]!, j * window.dilation[1]! - window.pad[1]!);
      const moved = made.one({ kind: 'concat', axis: 1 }, [column, row], [items, 2, height, width]);
      const sample = made.one(
        { kind: 'bilinearSample', relative: places === null, outside: 'beyond', slope: 'right' },
        [of, places === null ? moved : made.sum([moved, places])],
        [items, perGroup, height, width],
      );
      return made.reshape(sample, [items, perGroup, 1, height * width]);
    });
    if (taps === 1) return each[0]!;
    return made.one({ kind: 'concat', axis: 2 }, each, [items, perGroup, taps, height * width]);
  });
  const all =
    groups === 1
      ? sampled[0]!
      : made.one({ kind: 'concat', axis: 1 }, sampled, [items, channels, taps, height * width]);
  return made.built([
    made.one(
      {
        kind: 'convolution',
        weights,
        bias,
        kernel: [1, 1],
        stride: [1, 1],
        pad: [0, 0],
        dilation: [1, 1],
        group: p.group,
        ...unfused,
        affine: [],
      },
      [made.reshape(all, [items, channels * taps, height, width])],
      top,
    ),
  ]);

  function groupsOf(of: Composition, part: Part, count: number): readonly Part[] {
    if (count === 1) return [part];
    const shape = [items, channels / count, ...x.slice(2)];
    return of.add(
      { kind: 'slice', axis: 1 },
      [part],
      Array.from({ length: count }, () => shape),
    );
  }
}

/** The start of each window, as x and y. */
function placesOf(
  context: LayerContext,
  layer: Composition,
  [down, right]: readonly [number, number],
  shape: readonly [number, number, number, number],
): Part {
  const [, , height, width] = shape;
  const offsets = layer.bottoms[1]!;
  const operation = hostFunction(context, [offsets.shape], [shape], {
    forward: () => [
      Float32Array.from({ length: elementCount(shape) }, (_, i) => {
        const [plane, place] = [Math.floor(i / (height * width)), i % (height * width)];
        return plane % 2 === 0 ? (place % width) * right : Math.floor(place / width) * down;
      }),
    ],
  });
  return layer.one(operation, [offsets], shape, [false]);
}
