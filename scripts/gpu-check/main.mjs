// Runs the steps in order within the remaining time, and writes their results. See ../gpu-check.sh.
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { endUnderWay } from './command.mjs';
import { CARRIED, readOptions } from './options.mjs';
import { planText } from './plan.mjs';
import { reportText } from './report.mjs';
import { steps } from './steps.mjs';

const { options, only, whole } = readOptions();
const call = options.second ? 2 : 1;
const begin = performance.now();
const secondsLeft = () => whole - (performance.now() - begin) / 1000;

const isAsked = (step) =>
  step.name === 'device' || (only?.includes(step.name) ?? (step.call === 'both' || step.call === call));
if (options.plan) {
  console.log(planText(steps, { only, options }));
  process.exit(0);
}

// An earlier run's measurements are packed, and returned in --out.
const cache = resolve(options.out, 'cache');
process.env.XDG_CACHE_HOME = cache;
if (existsSync(join(CARRIED, 'tuning-cache')))
  cpSync(join(CARRIED, 'tuning-cache'), join(cache, 'resnode'), { recursive: true, force: false });
else mkdirSync(cache, { recursive: true });

const context = { options, secondsLeft, noGpu: null };
const check = { format: 'resnode-gpu-check/1', date: new Date().toISOString(), status: 'running', steps: [] };

// If the check is interrupted, results so far are kept: the running step reports what it has, and later steps are
// skipped.
let ended = null;
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'])
  process.on(signal, () => {
    ended = signal;
    endUnderWay();
  });

// { status: ok | failed | skipped, reason, seconds, result }
async function attempt(step) {
  if (!isAsked(step))
    return {
      status: 'skipped',
      reason: `not asked for (${only === undefined && step.call === 2 ? '--second' : `--only ${step.name}`})`,
    };
  const over = ended === null ? null : `the check was ended by ${ended}`;
  const reason = over ?? context.noGpu ?? step.skip?.(context) ?? null;
  if (reason !== null) return { status: 'skipped', reason };
  const limit = Math.min(step.limit, secondsLeft());
  if (limit < 5) return { status: 'skipped', reason: `no time is left of ${whole} s` };
  const start = performance.now();
  const outcome = await Promise.resolve(step.run(context, limit)).catch((error) => ({
    status: 'failed',
    reason: error.message,
    result: error.result,
  }));
  return { ...outcome, seconds: Math.round((performance.now() - start) / 100) / 10 };
}

// Each step's own file names the machine on which it was measured. They have a folder of their own, so that the files
// that hold all results are the first ones where only a few can be taken home.
mkdirSync(join(options.out, 'steps'), { recursive: true });
function writeStep(step) {
  const machine = check.steps.find(({ name }) => name === 'device')?.result ?? {};
  const { date } = check;
  const { commit = 'unknown', facts = {} } = machine;
  const own = { format: 'resnode-gpu-check-step/1', date, commit, machine: facts, ...step };
  writeFileSync(join(options.out, 'steps', `${step.name}.json`), `${JSON.stringify(own, null, 1)}\n`);
}

function write() {
  writeFileSync(join(options.out, 'gpu-check.json'), `${JSON.stringify(check, null, 1)}\n`);
  writeFileSync(join(options.out, 'gpu-check.txt'), `${reportText(check)}\n`);
}

for (const step of steps) {
  const outcome = await attempt(step);
  check.steps.push({ name: step.name, about: step.about, ...outcome });
  if (isAsked(step)) writeStep(check.steps.at(-1));
  console.error(`gpu-check: ${step.name}: ${outcome.status}${outcome.reason ? `: ${outcome.reason}` : ''}`);
  write();
}
const failed = check.steps.some(({ status }) => status === 'failed');
check.status =
  ended !== null ? `ended by ${ended}` : failed ? 'failed' : context.noGpu !== null ? 'no GPU' : 'ok';
check.seconds = Math.round((performance.now() - begin) / 1000);
write();
console.log(reportText(check));
process.exitCode = failed || ended !== null ? 1 : context.noGpu !== null ? 3 : 0;
