/**
 * R-CNN's window file, which WindowData reads (window_data_layer.cpp): for each image `# index`, its path, channels, height,
 * width, the number of its windows, and for each window `class overlap x1 y1 x2 y2`, in pixels, including both ends.
 */
import { DataError, ResnodeError } from '../base/errors.ts';
import { readCause } from '../base/files.ts';
import { readLines } from './image-list.ts';
import { checkIsListFile } from './list-lines.ts';

export interface WindowImage {
  /** The path as written. */
  readonly path: string;
  readonly height: number;
  readonly width: number;
}

/** A window of an image. */
export interface ImageWindow {
  /** The index of the image, from 0. */
  readonly image: number;
  /** The class; 0 for the background. */
  readonly label: number;
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
  /** The line of the file, from 1. */
  readonly line: number;
}

/** Windows in one array, because a file may have millions. */
export class Windows {
  #values = new Int32Array(7 * 64);
  count = 0;

  add({ image, label, x1, y1, x2, y2, line }: ImageWindow): void {
    if (7 * this.count === this.#values.length) {
      const longer = new Int32Array(2 * this.#values.length);
      longer.set(this.#values);
      this.#values = longer;
    }
    this.#values.set([image, label, x1, y1, x2, y2, line], 7 * this.count++);
  }

  at(index: number): ImageWindow {
    const [image, label, x1, y1, x2, y2, line] = this.#values.subarray(7 * index) as unknown as number[];
    return { image: image!, label: label!, x1: x1!, y1: y1!, x2: x2!, y2: y2!, line: line! };
  }
}

export interface WindowFile {
  readonly images: readonly WindowImage[];
  /** Windows whose overlap with an object is at least fg_threshold. */
  readonly foreground: Windows;
  /** Windows whose overlap is less than bg_threshold; windows between the two thresholds belong to neither. */
  readonly background: Windows;
}

/**
 * Reads a window file without blocking the event loop.
 * @throws DataError `data/windows` that names file, line, what was found and what was expected; `data/wrong-kind`,
 * `data/not-found`
 */
export async function readWindowFile(
  file: string,
  thresholds: { readonly foreground: number; readonly background: number },
): Promise<WindowFile> {
  const read: WindowFile = { images: [], foreground: new Windows(), background: new Windows() };
  const tokens = await Tokens.open(file);
  while (await tokens.hasMore()) await readImage(tokens, read, thresholds);
  if (read.images.length === 0) throw tokens.error('"# 0" and an image', 'nothing: the file is empty');
  return read;
}

async function readImage(
  tokens: Tokens,
  { images, foreground, background }: WindowFile,
  thresholds: { readonly foreground: number; readonly background: number },
): Promise<void> {
  const mark = await tokens.next('"#" before the index of an image');
  if (mark !== '#')
    throw tokens.error('"#" before the index of an image, after the announced number of windows', mark);
  const image = await tokens.integer('the index of an image', 0);
  // Caffe looks an image up by the index in its windows.
  if (image !== images.length)
    throw tokens.error(`the index ${images.length}: images are numbered in their order from 0`, image);
  const path = await tokens.next("an image's path, without spaces");
  const channels = await tokens.integer("the image's channels (a path has no spaces)", 1);
  if (channels !== 3) throw tokens.error('3 channels, because WindowData reads images in colour', channels);
  const height = await tokens.integer("the image's height", 1);
  const width = await tokens.integer("the image's width", 1);
  (images as WindowImage[]).push({ path, height, width });
  const count = await tokens.integer('the number of windows', 0);
  for (let i = 0; i < count; i++) {
    const label = await tokens.integer('the class of a window', 0);
    const { line } = tokens;
    const overlap = await tokens.overlap();
    const [x1, y1, x2, y2] = [
      await tokens.integer('x1 of a window'),
      await tokens.integer('y1 of a window'),
      await tokens.integer('x2 of a window'),
      await tokens.integer('y2 of a window'),
    ];
    if (x2 < x1 || y2 < y1)
      throw tokens.error('x1 y1 x2 y2 with the right and lower ends last', `${x1} ${y1} ${x2} ${y2}`);
    const window = { image, label, x1, y1, x2, y2, line };
    if (overlap >= Math.fround(thresholds.foreground)) {
      if (label === 0)
        throw tokens.error(
          `a class above 0, because the window's overlap is fg_threshold (${thresholds.foreground}) or more`,
          'class 0',
        );
      foreground.add(window);
    } else if (overlap < Math.fround(thresholds.background)) background.add({ ...window, label: 0 });
  }
}

/** Splits a text file at white space and keeps line numbers. */
class Tokens {
  readonly #file: string;
  readonly #lines: AsyncGenerator<string>;
  #waiting: string[] = [];
  #at = 0;
  line = 0;

  private constructor(file: string) {
    this.#file = file;
    this.#lines = readLines(file);
  }

  static async open(file: string): Promise<Tokens> {
    try {
      await checkIsListFile(file);
      return new Tokens(file);
    } catch (error) {
      throw notFound(file, error);
    }
  }

  async hasMore(): Promise<boolean> {
    while (this.#at === this.#waiting.length) {
      const { value, done } = await this.#lines.next();
      if (done) return false;
      this.line++;
      this.#waiting = value.split(/\s+/).filter((token: string) => token !== '');
      this.#at = 0;
    }
    return true;
  }

  async next(expected: string): Promise<string> {
    if (!(await this.hasMore())) throw this.error(expected, 'the end of the file');
    return this.#waiting[this.#at++]!;
  }

  async integer(expected: string, least = -(2 ** 31)): Promise<number> {
    const token = await this.next(expected);
    const value = Number(token);
    if (!/^[+-]?\d{1,10}$/.test(token) || value < least || Math.abs(value) > 2 ** 31 - 1)
      throw this.error(
        `${expected}, a whole number${least === 0 || least === 1 ? ` of at least ${least}` : ''}`,
        token,
      );
    return value;
  }

  async overlap(): Promise<number> {
    const token = await this.next('the overlap of a window');
    const value = Number(token);
    if (!Number.isFinite(value)) throw this.error('the overlap of a window, a number from 0 to 1', token);
    return Math.fround(value);
  }

  error(expected: string, found: string | number): DataError {
    const shown = String(found).slice(0, 100);
    return new DataError(
      'data/windows',
      { file: `${this.#file}:${Math.max(1, this.line)}` },
      `expected ${expected}; found ${shown === '' ? 'nothing' : shown}`,
    );
  }
}

function notFound(file: string, error: unknown): unknown {
  if (error instanceof ResnodeError) return error;
  return new DataError('data/not-found', { file }, readCause(error as Error), { cause: error });
}
