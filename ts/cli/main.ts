#!/usr/bin/env node
/**
 * The command line: a thin layer over the library, with one file per command. The exit status is 2 for misuse and 1 for
 * failure.
 */
import { printWarningsToStderr } from '../base/warn.ts';
import { failureOf } from './failure.ts';
import { runProgram, wordsOf } from './program.ts';

printWarningsToStderr();
// A reader that closes the pipe early (`resnode print … | head`) is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  console.error(`resnode: standard output cannot be written: ${error.message}`);
  process.exit(1);
});

try {
  await runProgram(wordsOf(process.argv.slice(2)));
} catch (error) {
  const { text, status } = failureOf(error);
  if (text !== null) console.error(text);
  process.exitCode = status;
}
