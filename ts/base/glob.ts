/** Finds files by a pattern that the shell did not expand; Node has `fs.glob` only since version 22. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const MAGIC = /[*?[{]/;

/** Whether a path is a pattern. */
export const isGlob = (path: string): boolean => MAGIC.test(path);

/**
 * The matching paths, sorted: `*`, `?` and `[a-z]` within a name, `{jpg,png}`, and `**` for any number of folders, including
 * none. Names that begin with a dot match only patterns that do. Unreadable folders match nothing.
 */
export function glob(pattern: string): string[] {
  const found = new Set(alternatives(pattern).flatMap((each) => [...matches(each)]));
  return [...found].sort();
}

function alternatives(pattern: string): string[] {
  const [, before, inner, after] = /^(.*?)\{([^{}]*)\}(.*)$/s.exec(pattern) ?? [];
  if (inner === undefined) return [pattern];
  return inner.split(',').flatMap((each) => alternatives(`${before}${each}${after}`));
}

function* matches(pattern: string): Generator<string> {
  const isAbsolute = pattern.startsWith('/');
  const names = pattern.split('/').filter((name) => name !== '');
  yield* walk(isAbsolute ? '/' : '', names);
}

function* walk(folder: string, [name, ...rest]: readonly string[]): Generator<string> {
  if (name === undefined) return;
  const isLast = rest.length === 0;
  if (!MAGIC.test(name)) {
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return;
    if (isLast) yield path;
    else yield* walk(path, rest);
    return;
  }
  if (name === '**' && !isLast) yield* walk(folder, rest);
  const expression = name === '**' ? /^[^.]/ : expressionOf(name);
  for (const entry of entriesOf(folder)) {
    if (!expression.test(entry.name)) continue;
    const path = join(folder, entry.name);
    const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && isFolderAt(path));
    if (isLast) {
      if (name !== '**' || !isFolder) yield path;
    } else if (isFolder && name !== '**') yield* walk(path, rest);
    // A link to a folder may lead to a cycle.
    if (name === '**' && entry.isDirectory()) yield* walk(path, [name, ...rest]);
  }
}

const isFolderAt = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function entriesOf(folder: string) {
  try {
    return readdirSync(folder === '' ? '.' : folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function expressionOf(name: string): RegExp {
  const hidden = name.startsWith('.') ? '' : '(?!\\.)';
  const body = name.replace(/\[(!?)([^\]]+)\]|[*?]|[^*?[\]\w]|[[\]]/g, (text, not, set) => {
    if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replace(/[\\\]^]/g, '\\$&')}]`;
    return text === '*' ? '.*' : text === '?' ? '.' : `\\${text}`;
  });
  return new RegExp(`^${hidden}${body}$`, 'su');
}
