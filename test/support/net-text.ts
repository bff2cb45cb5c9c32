/** Nets written as prototxt, and random inputs. */
import * as assert from 'uvu/assert';
import { seededRandom } from '../../ts/base/random.ts';
import { filterNet, GraphError, graphFromCaffe, type NetParameter, readNet } from '../../ts/index.ts';

/** An Input layer whose top has the layer's name. */
export const input = (name: string, shape: readonly number[]): string =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;

export const net = (text: string) => filterNet(readNet(text, { file: 'net.prototxt' }));

/** The same values for each seed. */
export function draw(count: number, seed: number, from = -1, to = 1): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => from + (to - from) * random());
}

/** Checks that a net cannot be built, and what its error says. */
export function assertRefused(refused: NetParameter, said: RegExp): void {
  try {
    graphFromCaffe(refused);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, GraphError);
    assert.match((error as Error).message, said);
  }
}
