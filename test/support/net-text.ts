/** Nets written as prototxt, and noise for their inputs. */
import { seededRandom } from '../../ts/base/random.ts';
import { filterNet, readNet } from '../../ts/index.ts';

/** An Input layer, whose top has its name. */
export const input = (name: string, shape: readonly number[]): string =>
  `layer { name: "${name}" type: "Input" top: "${name}" input_param { shape { ${shape.map((dim) => `dim: ${dim}`).join(' ')} } } }\n`;

export const net = (text: string) => filterNet(readNet(text, { file: 'net.prototxt' }));

/** The same values for a seed every time. */
export function draw(count: number, seed: number, from = -1, to = 1): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => from + (to - from) * random());
}
