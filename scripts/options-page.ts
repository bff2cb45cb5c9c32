/** Writes docs/options.md from the tables of options: `npm run options-page`. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Option, type Signature, signatures } from '../ts/base/options.ts';
import '../ts/api/convert.ts';
import '../ts/api/data.ts';
import '../ts/api/images.ts';
import '../ts/api/tools.ts';
import '../ts/api/train.ts';
import '../ts/index.ts';
import '../ts/device/nets.ts';
import '../ts/device/trainer.ts';

/** The page's path. */
export const OPTIONS_PAGE = fileURLToPath(new URL('../docs/options.md', import.meta.url));

const HEAD = `# Arguments and options

Written by \`npm run options-page\` from the tables that functions check their arguments against; not to be edited by hand.
An argument or option that is omitted or \`undefined\` takes its default. Unknown names of options are refused.
`;

/** Only functions create these; their constructors are not part of the API. */
const INTERNAL = ['Communicator', 'Device', 'DeviceBuffer', 'device.benchOperation', 'model.keep'];

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

const row = (name: string, { kind, default: fallback, description }: Option) =>
  `| \`${name}\` | ${cell(kind.expected)} | ${fallback === null ? 'required' : cell(fallback)} | ${cell(description)} |`;

function rowsOf([name, option]: [string, Option]): string[] {
  if (option.internal) return [];
  const table = 'table' in option.kind ? (option.kind.table as Readonly<Record<string, Option>>) : {};
  const inner = Object.entries(table).filter(([, each]) => !each.internal);
  return [row(name, option), ...inner.map(([field, each]) => row(`${name}.${field}`, each))];
}

const sectionOf = ({ name, parameters }: Signature) => `
## ${name}

| argument | what it must be | default | what it does |
|---|---|---|---|
${Object.entries(parameters).flatMap(rowsOf).join('\n')}
`;

/** The whole page. */
export const optionsPage = (): string =>
  HEAD +
  [...signatures.values()]
    .filter(({ name }) => !INTERNAL.includes(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(sectionOf)
    .join('');

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(OPTIONS_PAGE, optionsPage());
