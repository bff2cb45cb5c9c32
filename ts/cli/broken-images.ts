/** Reports images that cannot be read: prints a line for each and sets exit status 1 at the end. */
import { ImageError } from '../base/errors.ts';

export interface BrokenFlags {
  /** Broken images do not change the exit status. */
  readonly skipBroken?: boolean;
}

/** The facts that are reported about an unreadable image. */
export type Broken = Pick<ImageError, 'file' | 'code' | 'message'>;

/** The same as a plain object, which can be sent to another process. */
export const brokenOf = ({ file, code, message }: Broken): Broken => ({ file, code, message });

export class BrokenImages {
  readonly list: { readonly file: string; readonly reason: string }[] = [];
  readonly #isStatusKept: boolean;
  readonly #tell: (error: Broken) => void;

  /** @param tell Reports an image at once. Default: prints it on stderr. */
  constructor({ skipBroken = false }: BrokenFlags, tell?: (error: Broken) => void) {
    this.#isStatusKept = skipBroken;
    this.#tell = tell ?? ((error) => console.error(`resnode: skipped: ${error.message}`));
  }

  /** The callback for options of the library. */
  readonly onBroken = (error: Broken): void => {
    this.list.push({ file: error.file ?? '', reason: error.message });
    this.#tell(error);
  };

  /**
   * The result of `work`, or null if its image is skipped.
   * @throws other errors of `work`
   */
  async guard<T>(work: Promise<T>): Promise<T | null> {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      this.onBroken(error);
      return null;
    }
  }

  /**
   * Prints the number of broken images on stderr and sets the exit status.
   * @param total The number of all images.
   * @throws ImageError if no image remains
   */
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

/** An unreadable image as a line of JSON. */
export const errorLine = ({ file, code, message }: Broken): string =>
  JSON.stringify({ file, error: { code, message } });
