/** Accepts a model folder instead of a prototxt: its files are the defaults of --weights, --labels and --calibration. */
import type { EventEmitter } from 'node:events';
import type { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { whyMissing } from '../base/files.ts';
import { filesOfModelFolder, isFolder } from '../caffe/model-folder.ts';
import { Flag, own } from './flag.ts';
import { ownFlags } from './own-flags.ts';

/** Adds the net as an argument and as --model; exactly one must be given. The net is then in `flags.model`. */
export function netArgument(command: Command): Command {
  return command
    .argument('[net]', 'the prototxt, or a model folder')
    .addOption(own('model'))
    .hook('preAction', () => {
      const [net] = command.processedArgs as [string | undefined];
      if ((net === undefined) === (command.getOptionValue('model') === undefined))
        command.error('error: expected one net, as an argument or as --model', { exitCode: 2 });
      // Behaves as if the argument followed --model. Commander's types do not declare that a Command is an EventEmitter.
      if (net !== undefined) (command as unknown as EventEmitter).emit('option:model', net);
    });
}

/**
 * The prototxt of a model folder; any other path unchanged.
 * @throws ArgumentError
 */
export const prototxtOf = (path: string): string =>
  isFolder(path) ? filesOfModelFolder(path, ['model']).model : path;

/**
 * Lets --model of a command accept a folder.
 * @throws ArgumentError for a folder that lacks a file that the command needs
 */
export function takeModelFolder(command: Command): void {
  const takes = (name: string) => command.options.some((option) => option.attributeName() === name);
  // Only labels of the net's own classes: --labels of `resnode finetune` names new classes.
  const takesLabels = command.options.some(
    (option) => option instanceof Flag && option.row === ownFlags.labels.row,
  );
  const isMandatory = (name: string) =>
    command.options.some((option) => option.attributeName() === name && option.mandatory);
  const isGiven = (name: string) => command.getOptionValueSource(name) === 'cli';
  if (!takes('model')) return;
  let ranges: string | undefined;
  // Flags after the folder override its files without further code.
  command.on('option:model', (folder: string) => {
    const missing = whyMissing(folder);
    if (missing !== null && isMandatory('weights') && !isGiven('weights'))
      throw new ArgumentError('--model', 'a prototxt or a model folder', folder, missing);
    if (!isFolder(folder)) return;
    const needed = takes('weights') ? (['model', 'weights'] as const) : (['model'] as const);
    const { model, weights, labels, calibration } = filesOfModelFolder(folder, needed);
    command.setOptionValueWithSource('model', model, 'cli');
    for (const [name, file] of Object.entries({ weights, labels: takesLabels ? labels : undefined }))
      if (takes(name) && file !== undefined && !isGiven(name))
        command.setOptionValueWithSource(name, file, 'implied');
    ranges = calibration;
  });
  command.hook('preAction', () => {
    if (ranges !== undefined && command.getOptionValue('precision') === 'int8' && !isGiven('calibration'))
      command.setOptionValueWithSource('calibration', ranges, 'implied');
  });
}
