/** The shapes of a net's inputs: from the prototxt, from the caller, or from the data of a layer. */

import type { Shape, Shapes } from '../base/shape.ts';
import type { LayerParameter } from '../caffe/net-parameter.ts';
import { DATA_TYPES, dimsOf, shapeCure, shapeGiven, textShapes } from './data.ts';
import { ruleOf } from './index.ts';
import { givenShapes } from './javascript.ts';
import type { Fail } from './layer.ts';
import { publicDataShapes } from './public-modules.ts';

/** Shapes that replace or supply those of inputs, and the first dimension of all inputs. */
interface GivenShapes {
  readonly inputShapes?: Shapes;
  readonly batch?: number;
}

/** The shapes of the tops of a layer without bottoms; null if it is not an input. */
export function inputShapesOf(
  layer: LayerParameter,
  phase: 'TRAIN' | 'TEST',
  { inputShapes: given = {}, batch }: GivenShapes,
  fail: Fail,
): (Shape | undefined)[] | null {
  const { type = '', top: tops = [], bottom = [] } = layer;
  const isData = DATA_TYPES.includes(type);
  // A layer of any other type, Python's or a fork's, without bottoms is an input if all its tops have shapes.
  const isOther = !isData && ruleOf(layer) === undefined && tops.length > 0;
  if (type !== 'Input' && !isData && !isOther) return null;
  const known = (found: readonly Shape[] | null) =>
    found?.map((each, i) => shapeGiven(given, tops[i]!) ?? each);
  const refuse = (text: string): never => fail('javascript-layer', text, 'python_param');
  if (bottom.length > 0) return type === 'Input' ? fail('bottom-count', 'takes no bottoms') : null;
  const shapes =
    type === 'Input'
      ? writtenShapes(layer, given, fail)
      : (known(givenShapes(layer, phase, refuse)) ??
        known(publicDataShapes(layer, (name) => shapeGiven(given, name))) ??
        textShapes(layer, given, (text) => {
          throw fail('input-shape', `${text}; or ${shapeCure(layer)}`);
        }));
  if (shapes === null && isData) fail('input-shape', `${unknownShapes(layer)}; ${shapeCure(layer)}`);
  return (
    shapes?.map((shape) => (shape === undefined || batch === undefined ? shape : withBatch(shape, batch))) ??
    null
  );
}

const withBatch = (shape: Shape, batch: number): Shape =>
  shape.length === 0 ? shape : [batch, ...shape.slice(1)];

// input_layer.cpp: one shape, one for each top, or none if the caller gives it.
function writtenShapes(layer: LayerParameter, given: Shapes, fail: Fail): (Shape | undefined)[] {
  const tops = layer.top ?? [];
  const written = ((layer.input_param?.shape ?? []) as { dim?: number[] }[]).map(dimsOf);
  if (written.length > 1 && written.length !== tops.length)
    fail('input-shape', `has ${written.length} shapes for ${tops.length} tops; give one, or one per top`);
  return tops.map((name, i) => shapeGiven(given, name) ?? (written.length === 1 ? written[0] : written[i]));
}

function unknownShapes({ type = '', top: tops = [], ...layer }: LayerParameter): string {
  const { data_param, image_data_param, hdf5_data_param, window_data_param } = layer;
  const source = [data_param, image_data_param, hdf5_data_param, window_data_param].find(
    (param) => param?.source !== undefined,
  )?.source;
  const where = source === undefined ? 'which this net does not name' : `"${source}", which is not read here`;
  const many = tops.length > 1;
  return `the ${many ? 'shapes' : 'shape'} of ${tops.join(' and ')} ${many ? 'are' : 'is'} in what ${type} reads, ${where}`;
}
