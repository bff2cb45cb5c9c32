/** The files of a training as text: prototxts that Caffe takes, and beside them what it has no field for. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../caffe/atomic-file.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { printPrototxt } from '../caffe/print.ts';
import type { SolverParameter } from '../caffe/solver-parameter.ts';
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

/**
 * Writes deploy.prototxt, train_val.prototxt, solver.prototxt and augment.json, each whole or not at all, over those
 * that are there.
 * @param folder Made where it is not there.
 * @returns The paths
 * @throws the file system's error
 */
export function writeTrainingFiles(folder: string, files: TrainingFiles): string[] {
  const { deploy, net, solver, augment, warmup } = files;
  const path = (name: string) => join(folder, name);
  const flags = [
    `--augment ${path('augment.json')}`,
    ...(warmup === null ? [] : [`--warmup-iterations ${warmup.iterations} --warmup-rate ${warmup.rate}`]),
  ];
  mkdirSync(folder, { recursive: true });
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
