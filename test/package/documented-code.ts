/** The TypeScript code in a page of documentation. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryFolder } from '../support/golden.ts';

/** @param page Its path from the repository's folder. */
export function documentedCode(page: string): string[] {
  const text = readFileSync(join(repositoryFolder, page), 'utf8');
  return [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!);
}
