/** A model folder: a net together with all its files. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { ArgumentError } from '../base/errors.ts';
import { boolean } from '../base/kinds.ts';
import { optional } from '../base/options.ts';
import { ownPackage } from '../base/own-package.ts';
import { writeFileAtomically } from './atomic-file.ts';

/** Names of its files in order of preference. Caffe's users call the net deploy.prototxt. */
const MODEL_FILES = {
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
 * The absolute paths of a model folder's files.
 * @param needed The files that it must have.
 * @throws ArgumentError naming the folder and the missing file
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

/** The row of an option that every function with a target folder has. */
export const overwrite = optional(
  boolean,
  'false',
  'Writes into a folder that is not empty, and replaces files of the same names.',
);

/**
 * Refuses a folder that is not empty, before any work.
 * @param argument The name for the error.
 * @throws ArgumentError
 */
export function checkNewFolder(folder: string, isOverwritten = false, argument = 'out'): void {
  if (isOverwritten || !isFolder(folder)) return;
  const [first, ...others] = readdirSync(folder);
  if (first === undefined) return;
  throw new ArgumentError(
    argument,
    'a folder that does not exist yet, or is empty',
    folder,
    `it holds ${first}${others.length === 0 ? '' : ` and ${others.length} more`}; name another one, or replace its files (overwrite, --overwrite)`,
  );
}

/** What the net of a model folder does with an image; also the name of the command that does it. */
export type ModelTask = 'classify' | 'detect' | 'segment';

const OPENERS = {
  classify: { open: 'openClassifier', name: 'classifier' },
  detect: { open: 'openDetector', name: 'detector' },
  segment: { open: 'openSegmenter', name: 'segmenter' },
} as const;

/** The origin of a model folder, and other information about it. */
export interface ModelFacts {
  readonly title: string;
  readonly task: ModelTask;
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

/**
 * Writes README.md: the contents of the folder, and its use.
 * @throws ResnodeError `file/write`
 */
export function writeModelReadme(folder: string, { title, task, madeBy, facts }: ModelFacts): string {
  const { open, name: opened } = OPENERS[task];
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
    npx resnode ${task} IMAGE.jpg --model .${isWhole ? '' : ' --mean-value B,G,R'}
${
  isWhole
    ? `
\`\`\`ts
import { ${open} } from 'resnode/images';

await using ${opened} = await ${open}(import.meta.dirname);
console.log(await ${opened}.${task}('IMAGE.jpg'));
\`\`\`
`
    : `\nNothing here says how images are prepared: \`resnode ${task} … --save-preprocess preprocess.json\` saves it.\n`
}`;
  const path = join(folder, 'README.md');
  writeFileAtomically(path, [text]);
  return path;
}
