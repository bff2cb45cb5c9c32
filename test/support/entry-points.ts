/** The package's exports, according to package.json. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as convert from '../../ts/api/convert.ts';
import * as data from '../../ts/api/data.ts';
import * as images from '../../ts/api/images.ts';
import * as tools from '../../ts/api/tools.ts';
import * as train from '../../ts/api/train.ts';
import * as root from '../../ts/index.ts';
import { repositoryFolder } from './golden.ts';

/** Its subpaths and the exports of each. */
export const entryPoints: Readonly<Record<string, object>> = {
  '.': root,
  './train': train,
  './data': data,
  './images': images,
  './convert': convert,
  './tools': tools,
};

/** The subpaths of package.json that are code. */
export const declaredEntryPoints = (): string[] => {
  const { exports } = JSON.parse(readFileSync(join(repositoryFolder, 'package.json'), 'utf8'));
  return Object.keys(exports).filter((path) => !path.endsWith('.json'));
};

/** All of them together. */
export const resnode = { ...root, ...train, ...data, ...images, ...convert, ...tools };
