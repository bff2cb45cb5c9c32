/** The files of a training as text: prototxts that Caffe takes, and beside them what it has no field for. */
import { join } from 'node:path';
import { makeFolder } from '../base/files.ts';
import { having, integer, nullOr, number, path } from '../base/kinds.ts';
import { fields, optional, required, signature, options as tableOf } from '../base/options.ts';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import { checkNewFolder, overwrite } from '../caffe/model-folder.ts';
import { type NetParameter, netParameter } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import { type SolverParameter, solverParameter } from '../caffe/solver-parameter.ts';
import type { TrainingFiles } from './resnet-training.ts';

/** A train_val net; where statistics are frozen on purpose, `resnode lint` is told so. */
export function trainingNetText(net: NetParameter): string {
  return printPrototxt(net).replace(
    /^( *)(use_global_stats: true)$/gm,
    '$1# resnode-lint: disable=global-stats (frozen on purpose)\n$1$2',
  );
}

/** @param command Lines of a comment at the top: how to run it. */
export function solverText(solver: SolverParameter, command: readonly string[]): string {
  const comment = command.map((line) => `# ${line}\n`).join('');
  return `${comment}${printPrototxt(solver, 'SolverParameter')}`;
}

const WRITE_TRAINING_FILES = signature('writeTrainingFiles', {
  folder: required(path, 'Made where it is not there.'),
  files: required(
    fields<TrainingFiles>('what resnetTraining gives', {
      deploy: required(netParameter, 'The deploy net.'),
      net: required(netParameter, 'The train_val net.'),
      solver: required(solverParameter, 'Its solver.'),
      augment: required(having<TrainingFiles['augment']>('an object'), 'By phase.'),
      warmup: required(
        nullOr(
          fields<NonNullable<TrainingFiles['warmup']>>('{ iterations, rate }', {
            iterations: required(integer(0), 'So many.'),
            rate: required(number({ from: 0 }), 'Of them.'),
          }),
        ),
        'A constant rate at the beginning.',
      ),
    }),
    'Of resnetTraining.',
  ),
  options: optional(tableOf<{ readonly overwrite?: boolean }>({ overwrite }), 'none', 'How.'),
});

/**
 * Writes deploy.prototxt, train_val.prototxt, solver.prototxt and augment.json, each whole or not at all.
 * @param folder Made where it is not there.
 * @returns The paths
 * @throws ArgumentError for a folder that holds something, without `overwrite`; ResnodeError `file/write`
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
  const flags = [
    `--augment ${path('augment.json')}`,
    ...(warmup === null ? [] : [`--warmup-iterations ${warmup.iterations} --warmup-rate ${warmup.rate}`]),
  ];
  makeFolder(folder);
  const texts = {
    'deploy.prototxt': printPrototxt(deploy),
    'train_val.prototxt': trainingNetText(net),
    'augment.json': `${JSON.stringify(augment, null, 2)}\n`,
    'solver.prototxt': solverText(solver, [
      `resnode train --solver ${path('solver.prototxt')} ${flags.join(' ')}`,
    ]),
  };
  return Object.entries(texts).map(([name, text]) => {
    writeFileAtomically(path(name), [text]);
    return path(name);
  });
}
