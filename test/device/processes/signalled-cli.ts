/**
 * Run by train-processes.test.ts: the command line, whose second process gets a signal once a file exists. Arguments:
 * the signal, the file, then those of the command line.
 */
import { existsSync } from 'node:fs';

const [signal, file, ...words] = process.argv.slice(2) as [NodeJS.Signals, string, ...string[]];
if (process.env.OMPI_COMM_WORLD_RANK === '1') {
  const timer = setInterval(() => {
    if (!existsSync(file)) return;
    clearInterval(timer);
    process.kill(process.pid, signal);
  }, 10);
  timer.unref();
}
process.argv.splice(2, Number.POSITIVE_INFINITY, ...words);
await import('../../../ts/cli/main.ts');
