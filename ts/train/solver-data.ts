/** Opens the data layers of a solver's nets. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { path } from '../base/kinds.ts';
import { optional, signature } from '../base/options.ts';
import type { NetParameter } from '../caffe/net-parameter.ts';
import { readAugment } from '../data/augment.ts';
import { openNetData } from '../data/open-net-data.ts';
import type { OpenData } from './open-training.ts';

const SOLVER_DATA = signature('solverData', {
  namedIn: optional(
    path,
    'the working folder',
    'The file of the solver or net; file names of data layers may be relative to its folder.',
  ),
  augment: optional(path, 'none', 'A JSON file with augmentations beside transform_param.'),
});

/**
 * Opens data layers whose file names are relative to the working folder, as in Caffe, or, if none of their sources
 * exists there, to the folder of the given file.
 * @param namedIn The solver or the net that is run.
 * @param augment A JSON file: augmentation in addition to transform_param.
 * @example const solver = new Solver({ solver: 'solver.prototxt', device, data: solverData('solver.prototxt', 'augment.json') });
 */
export function solverData(namedIn: string | undefined, augment?: string): OpenData {
  SOLVER_DATA.check(namedIn, augment);
  return (net, { phase, seed, rank = 0, ranks = 1, share = 'samples' }) =>
    openNetData(net, {
      phase,
      seed,
      rank,
      ranks,
      share,
      folder: dataFolder(net, namedIn),
      ...(augment === undefined ? {} : { augment: readAugment(augment, phase) }),
    });
}

function dataFolder(net: NetParameter, namedIn: string | undefined): string {
  const ownFolder = dirname(namedIn ?? '.');
  const sources = (net.layer ?? [])
    .flatMap(({ data_param, image_data_param, hdf5_data_param, window_data_param }) => [
      data_param,
      image_data_param,
      hdf5_data_param,
      window_data_param,
    ])
    .flatMap((param) => (typeof param?.source === 'string' ? [param.source] : []));
  const isBeside =
    sources.some((path) => existsSync(join(ownFolder, path))) && !sources.some((path) => existsSync(path));
  return isBeside ? ownFolder : '.';
}
