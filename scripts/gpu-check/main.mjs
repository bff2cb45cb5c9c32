// Runs the steps in order, within the time that is left, and writes what came of each. See ../gpu-check.sh.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { reportText } from './report.mjs';
import { steps } from './steps.mjs';

const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: 'build/gpu-check' },
    build: { type: 'boolean', default: false },
    golden: { type: 'string', default: '../shared/golden' },
    models: { type: 'string', default: '../shared' },
    only: { type: 'string' },
    limit: { type: 'string', default: '570' },
    depths: { type: 'string', default: '50,101,152' },
    batches: { type: 'string', default: '1,256,8,32,128' },
    precisions: { type: 'string', default: 'float16,float32,tf32,bfloat16' },
    peers: { type: 'string', default: 'amp,compile' },
  },
});
const begin = performance.now();
const secondsLeft = () => Number(options.limit) - (performance.now() - begin) / 1000;
const only = options.only?.split(',');
const unknown = only?.find((name) => !steps.some((step) => step.name === name));
if (unknown !== undefined) {
  console.error(`gpu-check: there is no step ${unknown}: ${steps.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const context = { options, secondsLeft, diagnosis: null, noGpu: null };
const check = { format: 'resnode-gpu-check/1', date: new Date().toISOString(), status: 'running', steps: [] };

// { status: ok | failed | skipped, reason, seconds, result }
async function attempt(step) {
  if (only !== undefined && step.name !== 'device' && !only.includes(step.name))
    return { status: 'skipped', reason: 'not asked for (--only)' };
  const reason = context.noGpu ?? step.skip?.(context) ?? null;
  if (reason !== null) return { status: 'skipped', reason };
  const limit = Math.min(step.limit, secondsLeft());
  if (limit < 5) return { status: 'skipped', reason: `no time is left of ${options.limit} s` };
  const start = performance.now();
  const outcome = await Promise.resolve(step.run(context, limit)).catch((error) => ({
    status: 'failed',
    reason: error.message,
    result: error.result,
  }));
  return { ...outcome, seconds: Math.round((performance.now() - start) / 100) / 10 };
}

function write() {
  writeFileSync(join(options.out, 'gpu-check.json'), `${JSON.stringify(check, null, 1)}\n`);
  writeFileSync(join(options.out, 'gpu-check.txt'), `${reportText(check)}\n`);
}

for (const step of steps) {
  const outcome = await attempt(step);
  check.steps.push({ name: step.name, about: step.about, ...outcome });
  console.error(`gpu-check: ${step.name}: ${outcome.status}${outcome.reason ? `: ${outcome.reason}` : ''}`);
  write();
}
const failed = check.steps.filter(({ status }) => status === 'failed').length;
check.status = failed > 0 ? 'failed' : context.noGpu !== null ? 'no GPU' : 'ok';
check.seconds = Math.round((performance.now() - begin) / 1000);
write();
console.log(reportText(check));
process.exitCode = failed > 0 ? 1 : context.noGpu !== null ? 3 : 0;
