#!/usr/bin/env node
/** The command line: thin over the library, one file a command. Exit status 2 for misuse, 1 for failure. */
import { printWarningsToStderr } from '../base/warn.ts';
import { failureOf } from './failure.ts';
import { runProgram, wordsOf } from './program.ts';

printWarningsToStderr();
// A reader that has seen enough (`resnode print … | head`) is no error.
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
