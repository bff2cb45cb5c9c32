/**
 * `npm run soak -- [--requests N] [--workers N] [--seed S]`: a day of a service, compressed. Exits with status 1 if a
 * request is lost.
 */
import { parseArgs } from 'node:util';
import { describe, soak } from './soak.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    workers: { type: 'string', default: '40' },
    seed: { type: 'string', default: '1' },
  },
});
const figures = await soak(Number(values.requests), Number(values.workers), Number(values.seed));
console.log(`figures: ${describe(figures)}`);
for (const text of figures.lost) console.log(`  ${text}`);
process.exitCode = figures.lost.length === 0 ? 0 : 1;
