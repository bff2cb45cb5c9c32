// The arguments of gpu-check.sh that choose what runs. A wrong one ends the check at once, because minutes on a GPU are
// few.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { steps } from './steps.mjs';

export const CARRIED = 'build/carried';
const carriedOr = (name, otherwise) => (existsSync(join(CARRIED, name)) ? join(CARRIED, name) : otherwise);

const PRECISIONS = ['float32', 'tf32', 'float16', 'bfloat16', 'int8'];
const NAMES = steps.map(({ name }) => name);

function refuse(message) {
  console.error(`gpu-check: ${message}`);
  process.exit(2);
}

function parsed() {
  try {
    return parseArgs({
      options: {
        out: { type: 'string', default: 'build/gpu-check' },
        build: { type: 'boolean', default: false },
        golden: { type: 'string', default: carriedOr('golden', '../shared/golden') },
        models: { type: 'string', default: existsSync(join(CARRIED, 'models')) ? CARRIED : '../shared' },
        plan: { type: 'boolean', default: false },
        second: { type: 'boolean', default: false },
        only: { type: 'string' },
        limit: { type: 'string' },
        depths: { type: 'string', default: '50,101,152' },
        batches: { type: 'string', default: '1,256,8,32' },
        precisions: { type: 'string', default: 'float16,float32,tf32,bfloat16' },
        peers: { type: 'string', default: 'half,amp' },
      },
    }).values;
  } catch (error) {
    return refuse(`${error.message.split('. ')[0]}; the head of scripts/gpu-check.sh has what there is`);
  }
}

export function readOptions() {
  const options = parsed();
  const only = options.only?.split(',');
  const unknown = only?.find((name) => !NAMES.includes(name));
  if (unknown !== undefined) refuse(`there is no step ${unknown}: ${NAMES.join(', ')}`);
  const whole = Number(options.limit ?? (options.second ? 150 : 560));
  if (!(whole > 0)) refuse(`--limit takes seconds, more than 0, but received ${options.limit}`);
  const each = (name, what, fits) => {
    const wrong = options[name].split(',').find((word) => !fits(word));
    if (wrong !== undefined)
      refuse(`--${name} takes ${what}, with commas between, but received ${wrong || 'nothing'}`);
  };
  each('depths', '50, 101 and 152', (word) => ['50', '101', '152'].includes(word));
  each('batches', 'numbers of images', (word) => /^[1-9]\d*$/.test(word));
  each('precisions', PRECISIONS.join(', '), (word) => PRECISIONS.includes(word));
  return { options, only, whole };
}
