/** --layers: a module of the user with functions for Python layers, registered before the command reads its nets. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { type JavaScriptLayers, registerLayers } from '../layers/javascript.ts';
import { own } from './flag.ts';

/** The flags that name nets. */
const NETS = ['model', 'solver', 'inputShape'];

/** Adds --layers to a command that reads nets. */
export function takeLayers(command: Command): void {
  const readsNets = command.options.some((option) => NETS.includes(option.attributeName()));
  if (!readsNets) return;
  command.addOption(own('layers')).hook('preAction', async () => {
    const file = command.getOptionValue('layers') as string | undefined;
    if (file !== undefined) registerLayers(await layersOf(file));
  });
}

/** @throws ArgumentError for a module that cannot be imported or has another export */
async function layersOf(file: string): Promise<JavaScriptLayers> {
  let module: { readonly default?: unknown };
  try {
    module = await import(pathToFileURL(resolve(file)).href);
  } catch (error) {
    throw new ArgumentError(
      '--layers',
      'a JavaScript module that can be imported',
      file,
      existsSync(file) ? (error as Error).message : 'there is no such file or folder',
    );
  }
  if (typeof module.default !== 'object' || module.default === null)
    throw new ArgumentError(
      '--layers',
      'a module with "export default { \'module.Layer\': { shapes, forward } }"',
      file,
    );
  return module.default as JavaScriptLayers;
}
