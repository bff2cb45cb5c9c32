/** Writes docs/errors.md from the table of error codes: `npm run errors-page`. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorCodes } from '../ts/base/error-codes.ts';

/** The page's path. */
export const ERRORS_PAGE = fileURLToPath(new URL('../docs/errors.md', import.meta.url));

const HEAD = `# Errors

Written by \`npm run errors-page\` from \`ts/base/error-codes.ts\`; not to be edited by hand.

Every error of resnode is a \`ResnodeError\` or a subclass of it, and has a \`code\` that does not change, of the type
\`ErrorCode\`. Its message says where the error lies, what was found and what was expected; the page says what codes mean and
what cures them.

\`\`\`ts
import { ResnodeError } from 'resnode';

const load = (batch: number) => device.load('ants-and-bees', { batch });
const model = await load(64).catch((error: unknown) => {
  if (error instanceof ResnodeError && error.code === 'device/out-of-memory') return load(8);
  throw error;
});
console.log(model.inputs);
\`\`\`
`;

const cell = (text: string) => text.replaceAll('|', '\\|');

/** The whole page. */
export function errorsPage(): string {
  const codes = Object.entries(errorCodes);
  const areas = [...new Set(codes.map(([code]) => code.split('/')[0]!))];
  const sections = areas.map((area) => {
    const rows = codes.filter(([code]) => code.startsWith(`${area}/`));
    return `\n## ${area}\n\n| code | what it means | what cures it |\n|---|---|---|\n${rows
      .map(([code, [means, cure]]) => `| \`${code}\` | ${cell(means)} | ${cell(cure)} |\n`)
      .join('')}`;
  });
  return HEAD + sections.join('');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(ERRORS_PAGE, errorsPage());
