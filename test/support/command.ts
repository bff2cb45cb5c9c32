/** The command as tests start it, dozens of times. */
import { join } from 'node:path';
import { repositoryFolder } from './golden.ts';

/**
 * Node's arguments that run the command, before its own words. test/run.ts compiles it once for many files and says where
 * (RESNODE_TEST_COMMAND), since its sources take four times as long to start; a file that is run by itself takes the sources.
 */
export const COMMAND: readonly string[] =
  process.env.RESNODE_TEST_COMMAND === undefined
    ? ['--import', import.meta.resolve('tsx'), join(repositoryFolder, 'ts/cli/main.ts')]
    : [process.env.RESNODE_TEST_COMMAND];
