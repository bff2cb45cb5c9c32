/** What --skip-broken leaves out. */
import { ImageError } from '../base/errors.ts';

/** Images that cannot be read: each is named on stderr when it is met, all are counted at the end. */
export class BrokenImages {
  readonly list: { readonly file: string; readonly reason: string }[] = [];
  readonly #skip: boolean;

  constructor(skip: boolean | undefined) {
    this.#skip = skip ?? false;
  }

  /** For options of the library; undefined: the first one is an error. */
  get onBroken(): ((error: ImageError) => void) | undefined {
    return this.#skip ? (error) => this.#add(error) : undefined;
  }

  /** What `work` gives; null where its image is left out. @throws what `work` throws else */
  async guard<T>(work: Promise<T>): Promise<T | null> {
    try {
      return await work;
    } catch (error) {
      if (!this.#skip || !(error instanceof ImageError)) throw error;
      this.#add(error);
      return null;
    }
  }

  /** @param total Of all images. @throws ImageError where none is left */
  end(total: number): void {
    const { length } = this.list;
    if (length === 0) return;
    console.error(`resnode: left out ${length} of ${total} images, which cannot be read`);
    if (length >= total) throw new ImageError('image/none-left', undefined, 'no image is left; see above');
  }

  #add(error: ImageError): void {
    console.error(`resnode: left out: ${error.message}`);
    this.list.push({ file: error.file ?? '', reason: error.message });
  }
}
