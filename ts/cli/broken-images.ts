/** Images that cannot be read: a line for each, and exit status 1 at the end. */
import { ImageError } from '../base/errors.ts';

export interface BrokenFlags {
  /** They cost no exit status. */
  readonly skipBroken?: boolean;
}

/** What is told of an image that cannot be read. */
export type Broken = Pick<ImageError, 'file' | 'code' | 'message'>;

/** As plain data, for another process. */
export const brokenOf = ({ file, code, message }: Broken): Broken => ({ file, code, message });

export class BrokenImages {
  readonly list: { readonly file: string; readonly reason: string }[] = [];
  readonly #isStatusKept: boolean;
  readonly #tell: (error: Broken) => void;

  /** @param tell Says one at once. Default: on stderr. */
  constructor({ skipBroken = false }: BrokenFlags, tell?: (error: Broken) => void) {
    this.#isStatusKept = skipBroken;
    this.#tell = tell ?? ((error) => console.error(`resnode: skipped: ${error.message}`));
  }

  /** For options of the library. */
  readonly onBroken = (error: Broken): void => {
    this.list.push({ file: error.file ?? '', reason: error.message });
    this.#tell(error);
  };

  /** What `work` gives; null where its image is left out. @throws what `work` throws else */
  async guard<T>(work: Promise<T>): Promise<T | null> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      this.onBroken(error);
      return null;
    }
  }

  /** Counts them on stderr and sets the exit status. @param total Of all images. @throws ImageError where none is left */
  end(total: number): void {
    const { length } = this.list;
    if (length === 0) return;
    const isNoneLeft = length >= total;
    if (!this.#isStatusKept || isNoneLeft) process.exitCode = 1;
    if (total === 1) return;
    console.error(`resnode: skipped ${length} of ${total} images, which cannot be read`);
    if (isNoneLeft) throw new ImageError('image/none-left', undefined, 'no image could be read; see above');
  }
}

/** An image that cannot be read as a line of JSON. */
export const errorLine = ({ file, code, message }: Broken): string =>
  JSON.stringify({ file, error: { code, message } });
