/** Finds the shapes of data layers' tops from their data: the first record, image or row. */

import { GraphError, ResnodeError } from '../base/errors.ts';
import { shapes } from '../base/kinds.ts';
import { optional, required, signature } from '../base/options.ts';
import type { Shapes } from '../base/shape.ts';
import { type NetParameter, netParameter, positionOf } from '../caffe/net-parameter.ts';
import { shapeCure, textShapes } from '../layers/data.ts';

/** Types of layers whose shapes depend on their data. */
const READ = ['Data', 'ImageData', 'ImageSegData', 'HDF5Data', 'AnnotatedData'];

const READ_INPUT_SHAPES = signature('readInputShapes', {
  net: required(netParameter, 'The net.'),
  given: optional(shapes, 'none', 'The shapes that are already known, by blob.'),
});

/**
 * Finds the shapes of data layers that neither `given` nor the prototxt (crop_size, MemoryData, DummyData) sets, by reading
 * the first record of an LMDB or LevelDB, the first image of a list, or the rows of an HDF5 file. Files are looked for in
 * the working folder, as in Caffe, and then beside the prototxt.
 * @param net A net that is filtered for its state.
 * @param given The shapes that are already known, by blob.
 * @returns `given` and the shapes that were found, for `inputShapes`.
 * @throws GraphError `graph/input-shape` that names the layer, why its shapes cannot be determined, and the cure
 * @example
 * const inputShapes = await readInputShapes(filterNet(readNetFile('train_val.prototxt'), { phase: 'TRAIN' }));
 */
export async function readInputShapes(net: NetParameter, given: Shapes = {}): Promise<Shapes> {
  READ_INPUT_SHAPES.check(net, given);
  const found = new Map(Object.entries(given));
  for (const layer of net.layer ?? []) {
    const { name = '', type = '', bottom = [], top = [] } = layer;
    if (!READ.includes(type) || bottom.length > 0) continue;
    const fail = (text: string, cause?: unknown) => {
      const position = positionOf(layer);
      return new GraphError(
        'graph/input-shape',
        { layer: name, type, ...(position === undefined ? {} : { position }) },
        `the ${top.length > 1 ? 'shapes' : 'shape'} of ${top.join(' and ')} cannot be determined: ${text}; ${shapeCure(layer)}`,
        { cause },
      );
    };
    if (textShapes(layer, given, fail) !== null) continue;
    // Imported on demand: most nets need no databases, HDF5 or images.
    const { shapesOfFirstRecord } = await import('./first-record.ts');
    try {
      for (const [blob, shape] of await shapesOfFirstRecord(layer))
        if (!found.has(blob)) found.set(blob, shape);
    } catch (error) {
      if (!(error instanceof ResnodeError)) throw error;
      throw fail(error.message, error);
    }
  }
  return Object.fromEntries(found);
}
