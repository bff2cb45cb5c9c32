/** What works and is hardly meant: for programs by its code, for people as a sentence. */
export interface Warning {
  /** Stable, e.g. `weights/partial`. */
  readonly code: string;
  readonly message: string;
}
