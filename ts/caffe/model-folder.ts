/** A model folder: a net with all that belongs to it, as one thing to pass around. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { ArgumentError } from '../base/errors.ts';
import { boolean } from '../base/kinds.ts';
import { optional } from '../base/options.ts';
import { ownPackage } from '../base/own-package.ts';
import { writeFileAtomically } from './atomic-file.ts';

/** Names of its files, the first one's before the second's: Caffe's users call the net deploy.prototxt. */
export const MODEL_FILES = {
  model: ['model.prototxt', 'deploy.prototxt'],
  weights: ['model.caffemodel', 'model.caffemodel.h5'],
  labels: ['labels.txt'],
  preprocess: ['preprocess.json'],
  calibration: ['calibration.json'],
} as const;

export type ModelFile = keyof typeof MODEL_FILES;

/** Whether a path is a folder. */
export const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/**
 * The files that a model folder has, absolute.
 * @param needed Those that it must have.
 * @throws ArgumentError naming the folder and the file that it lacks
 */
export function filesOfModelFolder<Needed extends ModelFile>(
  folder: string,
  needed: readonly Needed[],
): { readonly [Name in ModelFile]?: string } & { readonly [Name in Needed]: string } {
  const path = resolve(folder);
  const found = Object.entries(MODEL_FILES).flatMap(([name, names]) => {
    const file = names.map((each) => join(path, each)).find((each) => existsSync(each));
    return file === undefined ? [] : [[name, file]];
  });
  const files = Object.fromEntries(found) as { [Name in ModelFile]?: string };
  for (const name of needed)
    if (files[name] === undefined)
      throw new ArgumentError(
        'the model folder',
        `a folder with ${needed.map((each) => MODEL_FILES[each][0]).join(' and ')}`,
        `${path}, which ${isFolder(path) ? `lacks ${MODEL_FILES[name].join(' or ')}` : 'is not a folder'}`,
      );
  return files as ReturnType<typeof filesOfModelFolder<Needed>>;
}

/** A row of every function that writes a folder. */
export const overwrite = optional(
  boolean,
  'false',
  'Writes into a folder that is not empty, and replaces files of the same names.',
);

/**
 * Refuses a folder that holds something, before anything is done.
 * @param argument Its name for the error.
 * @throws ArgumentError
 */
export function checkNewFolder(folder: string, isOverwritten = false, argument = 'out'): void {
  if (isOverwritten || !isFolder(folder)) return;
  const [first, ...others] = readdirSync(folder);
  if (first === undefined) return;
  throw new ArgumentError(
    argument,
    'a folder that does not exist yet, or is empty',
    `${folder}, which holds ${first}${others.length === 0 ? '' : ` and ${others.length} more`}`,
    'name another one, or replace its files (overwrite, --overwrite)',
  );
}

/** What made a model folder, and what else is to be known of it. */
export interface ModelFacts {
  readonly title: string;
  /** E.g. `resnode finetune`. */
  readonly madeBy: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

const CONTENT: Readonly<Record<ModelFile, string>> = {
  model: 'the deploy net',
  weights: 'its weights',
  labels: 'class names, one per line, in the order of the outputs',
  preprocess: 'how images are prepared',
  calibration: 'ranges for --precision int8',
};

/** Writes README.md: what the folder holds, and how it is used. @throws ResnodeError `file/write` */
export function writeModelReadme(folder: string, { title, madeBy, facts }: ModelFacts): string {
  const files = Object.entries(filesOfModelFolder(folder, [])).map(
    ([name, file]) => `| \`${basename(file!)}\` | ${CONTENT[name as ModelFile]} |`,
  );
  const isWhole = filesOfModelFolder(folder, []).preprocess !== undefined;
  const text = `# ${title}

Made by \`${madeBy}\` of resnode ${ownPackage().version}.

| file | |
|---|---|
${files.join('\n')}
${facts.length === 0 ? '' : `\n${facts.map(([name, value]) => `- ${name}: ${value}`).join('\n')}\n`}
    npx resnode classify IMAGE.jpg --model .${isWhole ? '' : ' --mean-value B,G,R'}
${
  isWhole
    ? `
\`\`\`ts
import { openClassifier } from 'resnode/images';

await using classifier = await openClassifier(import.meta.dirname);
console.log(await classifier.classify('IMAGE.jpg'));
\`\`\`
`
    : '\nNothing here says how images are prepared: `resnode classify … --save-preprocess preprocess.json` saves it.\n'
}`;
  const path = join(folder, 'README.md');
  writeFileAtomically(path, [text]);
  return path;
}
