/** A model folder given as --model: its files stand for --weights and --labels where these are not given. */
import type { Command } from 'commander';
import { pathOf } from '../base/sources.ts';
import { isFolder, readModelFolder } from '../images/classify/model-folder.ts';

/** @throws ArgumentError, when the command line is read, for a folder that lacks a file */
export function takeModelFolder(command: Command): void {
  const takes = (name: string) => command.options.some((option) => option.attributeName() === name);
  if (!takes('model') || !takes('weights')) return;
  command.on('option:model', (folder: string) => {
    if (!isFolder(folder)) return;
    const { model, weights, labels } = readModelFolder(folder);
    command.setOptionValueWithSource('model', pathOf(model), 'cli');
    for (const [name, file] of Object.entries({ weights, labels }))
      if (takes(name) && typeof file === 'string' && !isGiven(command, name))
        command.setOptionValueWithSource(name, file, 'implied');
  });
}

/** Before the folder; what is given behind it takes the place of the folder's file by itself. */
const isGiven = (command: Command, name: string) => command.getOptionValueSource(name) === 'cli';
