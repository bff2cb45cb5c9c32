/** Writes the files of a training: prototxts that Caffe accepts, and a file for settings that they cannot express. */
import { join } from 'node:path';
import { makeFolder } from '../base/files.ts';
import { having, integer, nullOr, number, path, string } from '../base/kinds.ts';
import { fields, optional, required, signature, options as tableOf } from '../base/options.ts';
import { ownPackage } from '../base/own-package.ts';
import { shellWord } from '../base/shell-words.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { checkNewFolder, overwrite } from '../caffe/model-folder.ts';
import { type NetParameter, netParameter } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { type SolverParameter, solverParameter } from '../caffe/solver-parameter.ts';
import type { TrainingFiles } from './resnet-training.ts';

/** The text of a train_val net; where statistics are frozen on purpose, a comment tells `resnode lint`. */
export function trainingNetText(net: NetParameter): string {
  return printPrototxt(net).replace(
    /^( *)(use_global_stats: true)$/gm,
    '$1# resnode-lint: disable=global-stats (frozen on purpose)\n$1$2',
  );
}

/** @param command The lines of a comment at the top that say how to run it. */
export function solverText(solver: SolverParameter, command: readonly string[]): string {
  const comment = command.map((line) => `# ${line}\n`).join('');
  return `${comment}${printPrototxt(solver, 'SolverParameter')}`;
}

const WRITE_TRAINING_FILES = signature('writeTrainingFiles', {
  folder: required(path, 'The folder; it is made if it does not exist.'),
  files: required(
    fields<TrainingFiles>('the result of resnetTraining', {
      deploy: required(netParameter, 'The deploy net.'),
      net: required(netParameter, 'The train_val net.'),
      solver: required(solverParameter, 'The solver.'),
      augment: required(having<TrainingFiles['augment']>('an object'), 'Augmentations by phase.'),
      warmup: required(
        nullOr(
          fields<NonNullable<TrainingFiles['warmup']>>('{ iterations, rate, solver }', {
            iterations: required(integer(0), 'The number of iterations of the warm-up.'),
            rate: required(number({ from: 0 }), 'The rate of the warm-up.'),
            solver: required(solverParameter, 'The solver of the warm-up.'),
          }),
        ),
        'A constant rate for the first iterations.',
      ),
      about: required(
        fields<TrainingFiles['about']>('{ name, paper, schedule }', {
          name: required(string, 'The name of the net.'),
          paper: required(string, 'The paper that describes the net.'),
          schedule: required(string, 'Where the paper gives the schedule.'),
        }),
        'What README.md says about the net.',
      ),
    }),
    'The result of resnetTraining.',
  ),
  options: optional(
    tableOf<{ readonly overwrite?: boolean }>({ overwrite }),
    'none',
    'How to write the files.',
  ),
});

/**
 * Writes deploy.prototxt, train_val.prototxt, solver.prototxt, augment.json and README.md, which lists the commands for
 * resnode and for Caffe. With a warm-up it also writes solver-warmup.prototxt, the first of two stages. Each file is written
 * completely or not at all.
 * @param folder The folder; it is created if it does not exist.
 * @returns The paths
 * @throws ArgumentError for a folder that is not empty, without `overwrite`; ResnodeError `file/write`
 */
export function writeTrainingFiles(
  folder: string,
  files: TrainingFiles,
  options: { readonly overwrite?: boolean } = {},
): string[] {
  WRITE_TRAINING_FILES.check(folder, files, options);
  checkNewFolder(folder, options.overwrite, 'folder');
  const { deploy, net, solver, augment, warmup } = files;
  const path = (name: string) => join(folder, name);
  const stages = stagesOf(path, warmup);
  const resnode = stages.map(
    ({ arguments: words }) => `resnode train ${words} --augment ${shellWord(path('augment.json'))}`,
  );
  const texts = {
    'deploy.prototxt': printPrototxt(deploy),
    'train_val.prototxt': trainingNetText(net),
    'augment.json': `${JSON.stringify(augment, null, 2)}\n`,
    ...(warmup === null ? {} : { 'solver-warmup.prototxt': solverText(warmup.solver, resnode) }),
    'solver.prototxt': solverText(solver, resnode),
    'README.md': readme(
      files,
      resnode,
      stages.map(({ arguments: words }) => `caffe train ${words}`),
    ),
  };
  makeFolder(folder);
  return Object.entries(texts).map(([name, text]) => {
    writeFileAtomically(path(name), [text]);
    return path(name);
  });
}

/** The commands of both programs: one solver, or the warm-up's solver and then the other, from its snapshot. */
function stagesOf(path: (name: string) => string, warmup: TrainingFiles['warmup']) {
  const solver = `--solver ${shellWord(path('solver.prototxt'))}`;
  if (warmup === null) return [{ arguments: solver }];
  const state = `${warmup.solver.snapshot_prefix}_iter_${warmup.iterations}.solverstate`;
  return [
    { arguments: `--solver ${shellWord(path('solver-warmup.prototxt'))}` },
    { arguments: `${solver} --snapshot ${shellWord(state)}` },
  ];
}

function readme(
  { about, warmup }: TrainingFiles,
  resnode: readonly string[],
  caffe: readonly string[],
): string {
  const block = (lines: readonly string[]) => lines.map((line) => `    ${line}\n`).join('');
  return `# ${about.name}

Made by \`resnode generate\` of resnode ${ownPackage().version}. The net: ${about.paper}. Its schedule: ${about.schedule}.
${
  warmup === null
    ? ''
    : `
The first ${warmup.iterations} iterations have the rate ${warmup.rate}. Caffe has no policy for that, so there are two solvers. The second one continues from
the snapshot of the first, and its iteration numbers include those of the first.
`
}
${block(resnode)}
The prototxts use only layers of BVLC Caffe. Caffe trains them, too, without the augmentation of \`augment.json\`:

${block(caffe)}
| file | |
|---|---|
| \`deploy.prototxt\` | the net for inference |
| \`train_val.prototxt\` | the net for training: data, loss, accuracy |
${warmup === null ? '' : '| `solver-warmup.prototxt` | the first stage |\n'}| \`solver.prototxt\` | the schedule |
| \`augment.json\` | augmentation beyond \`transform_param\` |
`;
}
