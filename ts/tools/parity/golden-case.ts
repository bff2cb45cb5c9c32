/** A folder recorded with a build of Caffe, format "caffe-golden/1": what ran, and its results. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError, ResnodeError } from '../../base/errors.ts';
import { checkRegularFile } from '../../base/files.ts';
import { elementCount } from '../../base/shape.ts';
import { readJsonFile } from '../../caffe/json.ts';

/** Raw little-endian float32, row-major. `noise`: the change due to another BLAS. */
export interface RecordedArray {
  readonly file: string;
  readonly shape: readonly number[];
  readonly noise?: number;
}
type Arrays = Readonly<Record<string, RecordedArray>>;
/** The blobs of layers. */
export type Parameters = Readonly<Record<string, readonly RecordedArray[]>>;

/** A net that runs forward; some cases also record the backward pass. */
export interface NetCase {
  readonly kind: 'net';
  readonly phase: 'TRAIN' | 'TEST';
  readonly level: number;
  readonly stages: readonly string[];
  readonly net: string;
  readonly weights: string | null;
  readonly structure: {
    readonly outputs: readonly string[];
    readonly layers: readonly { readonly name: string; readonly top: readonly string[] }[];
  };
  readonly params_before?: Parameters;
  readonly passes: readonly {
    readonly loss?: number;
    readonly inputs: Arrays;
    readonly blobs?: Arrays;
    readonly layers?: Parameters;
    readonly params_after?: Parameters;
  }[];
  /** The configuration of py-faster-rcnn, which a Python layer reads beside its net. */
  readonly spec?: { readonly cfg?: Readonly<Record<string, number>> };
  /** After the last pass. */
  readonly backward?: {
    /** The diffs of the outputs that are not losses. */
    readonly top_diffs: Arrays;
    readonly blob_diffs: Arrays;
    readonly param_diffs: Parameters;
  };
}

/** One net and many forms of the same weights, some of them broken. */
export interface WeightsCase {
  readonly kind: 'weights';
  readonly net: string;
  readonly inputs: Arrays;
  readonly outputs: Arrays;
  readonly params: Parameters;
  readonly equivalent: Readonly<Record<string, string>>;
  readonly refused: Readonly<Record<string, { readonly ok: boolean; readonly about: string }>>;
}

/** A full-size net whose weights and input come from a formula; blobs are sampled. */
export interface RecipeCase {
  readonly kind: 'recipe';
  readonly recipe: string;
  readonly seed: number;
  readonly net: string;
  readonly input: { readonly shape: readonly [number, number, number, number]; readonly sha256: string };
  readonly weights_sha256: Readonly<Record<string, readonly string[]>>;
  readonly samples: Readonly<
    Record<string, { readonly stride: number; readonly offset: number; readonly count: number }>
  >;
  readonly samples_file: RecordedArray;
  readonly blobs: Readonly<Record<string, RecordedArray & { readonly stride?: number }>>;
}

/** A run of a solver; some cases also resume it from its .solverstate. */
export interface SolverCase {
  readonly kind: 'solver';
  readonly structure?: { readonly layers: readonly { readonly name: string; readonly type: string }[] };
  readonly net: string;
  readonly solver: string;
  readonly weights: string;
  /** With a leading axis over batches: pass f uses batch f modulo its length. */
  readonly feed: Arrays;
  readonly iters: number;
  /** The learning rate of each iteration. */
  readonly lr: readonly number[];
  readonly loss_blobs: readonly string[];
  /** [pass][loss blob] */
  readonly losses_per_forward: readonly (readonly number[])[];
  readonly losses_noise?: number;
  readonly loss_per_iteration: readonly number[];
  /** The diffs of iteration 0, summed over its passes. */
  readonly first_raw_diffs?: Parameters;
  readonly params_after_1?: Parameters;
  /** With a leading axis over iterations. */
  readonly track?: Parameters;
  readonly params_after?: Parameters;
  readonly final_weights: string;
  readonly solverstate: string;
  readonly solverstate_iter: number;
  readonly solverstate_current_step: number;
  readonly history: readonly (RecordedArray & {
    readonly layer: string;
    readonly blob: number;
    readonly slot: number;
  })[];
  /** The TEST net with the final weights, on batch 0. */
  readonly test_eval?: { readonly blobs: Arrays };
  /** Continued from the .solverstate. */
  readonly resume?: {
    readonly iters: number;
    readonly losses_per_forward: readonly (readonly number[])[];
    readonly losses_noise?: number;
    readonly iter_after: number;
    readonly params_after: Parameters;
  };
}

export type GoldenCase = (NetCase | WeightsCase | RecipeCase | SolverCase) & { readonly folder: string };

const KINDS = ['net', 'weights', 'recipe', 'solver'];

/** @throws ResnodeError `parity/manifest` if manifest.json is missing, is not JSON, or has another format */
export function readGoldenCase(folder: string): GoldenCase {
  const file = join(folder, 'manifest.json');
  const manifest = (readJsonFile(
    file,
    'json',
    (found, cause) =>
      new ResnodeError('parity/manifest', `${file}: ${found}; scripts/caffe-dump.py writes it`, { cause }),
  ) ?? {}) as { format?: unknown; kind?: unknown };
  if (manifest.format !== 'caffe-golden/1' || !KINDS.includes(manifest.kind as string)) {
    throw new ResnodeError(
      'parity/manifest',
      `${file}: expected format "caffe-golden/1" and a kind of ${KINDS.join(', ')}, found ${JSON.stringify(manifest.format)} and ${JSON.stringify(manifest.kind)}`,
    );
  }
  return { ...(manifest as NetCase), folder };
}

/**
 * The folder itself, or its subfolders, that contain a manifest.json; sorted.
 * @throws ArgumentError if there is none
 */
export function findGoldenCases(folder: string): string[] {
  const found: string[] = [];
  const visit = (path: string): void => {
    const entries = readdirSync(path, { withFileTypes: true });
    if (entries.some(({ name }) => name === 'manifest.json')) found.push(path);
    else
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1)))
        if (entry.isDirectory()) visit(join(path, entry.name));
  };
  try {
    visit(folder);
  } catch (error) {
    throw new ArgumentError(
      'DIR',
      'a readable folder',
      `${folder} (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  if (found.length === 0)
    throw new ArgumentError('DIR', 'a folder with a manifest.json, or whose folders have one', folder);
  return found;
}

/** @throws ResnodeError `parity/array` if the file's size does not fit its shape */
export function readRecorded(folder: string, { file, shape }: Omit<RecordedArray, 'noise'>): Float32Array {
  checkRegularFile(join(folder, file));
  const bytes = readFileSync(join(folder, file));
  const count = elementCount(shape);
  if (bytes.length !== 4 * count)
    throw new ResnodeError(
      'parity/array',
      `${join(folder, file)}: ${shape.join('×')} needs ${4 * count} bytes, the file has ${bytes.length}`,
    );
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
