/** A thread that writes HDF5 files, one after the other: the library computes in one piece, some 300 ms for a snapshot of ResNet-50. */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { Dataset, File, Group } from 'h5wasm/node';

/** What is in a file; groups of a path are made where they are not there. */
export type Hdf5Item =
  | { readonly group: string }
  | {
      readonly dataset: string;
      readonly shape: readonly number[];
      /** `S5`: a string of five bytes, the zero at its end among them. */
      readonly dtype: '<f4' | '<i4' | `S${number}`;
      readonly data: Float32Array | Int32Array | string;
    }
  | {
      /** A dataset of float32 that begins with these rows, or grows by them. */
      readonly rowsOf: string;
      readonly shape: readonly number[];
      readonly data: Float32Array;
    };

/** To the thread: a file begins, an item of it, it ends. */
export type Hdf5Job = { readonly create: string } | Hdf5Item | { readonly finish: string };

/** From the thread, one a job: null, or why it could not be written. */
export type Hdf5Answer = { readonly failure: string | null };

type Hdf5Library = typeof import('h5wasm/node');

async function hdf5Library(): Promise<Hdf5Library> {
  const h5wasm = await import('h5wasm/node');
  const { activate_throwing_error_handler: throwErrors } = (await h5wasm.ready) as unknown as {
    activate_throwing_error_handler(): void;
  };
  // Otherwise every refusal prints HDF5's own stack on stderr.
  throwErrors();
  return h5wasm;
}

const port = parentPort!;
let file: File | null = null;

async function work(job: Hdf5Job): Promise<void> {
  const library = await hdf5Library();
  if ('create' in job) file = new library.File(job.create, 'w');
  else if ('finish' in job) {
    file!.close();
    sync(job.finish);
  } else if ('group' in job) groupAt(file!, job.group, library);
  else if ('rowsOf' in job) addRows(file!, job);
  else {
    const { dataset, shape, dtype, data } = job;
    const [, folder, name] = /^(.*?)\/?([^/]+)$/.exec(dataset)!;
    groupAt(file!, folder!, library).create_dataset({ name: name!, data, shape: [...shape], dtype });
  }
}

function addRows(to: File, { rowsOf, shape, data }: Extract<Hdf5Item, { readonly rowsOf: string }>): void {
  const [rows = 1, ...row] = shape;
  if (!to.keys().includes(rowsOf)) {
    const [maxshape, chunks] = [[null, ...row], [...shape]];
    to.create_dataset({ name: rowsOf, data, shape: [...shape], dtype: '<f4', maxshape, chunks });
    return;
  }
  const dataset = to.get(rowsOf) as Dataset;
  const [before = 0] = dataset.shape ?? [];
  dataset.resize([before + rows, ...row]);
  dataset.write_slice([[before, before + rows], ...row.map((size): [number, number] => [0, size])], data);
}

// HDF5 takes a slash in a layer's name for a path, too.
function groupAt(root: Group, folder: string, { Group: GroupType }: Hdf5Library): Group {
  return folder.split('/').reduce((group, part) => {
    if (part === '') return group;
    const found = group.keys().includes(part) ? group.get(part) : null;
    return found instanceof GroupType ? found : group.create_group(part);
  }, root);
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r+');
  fsyncSync(descriptor);
  closeSync(descriptor);
}

port.on('message', async (job: Hdf5Job) => {
  const failure = await work(job).then(
    () => null,
    (error: Error) => error.message.split('\n')[0]!,
  );
  port.postMessage({ failure } satisfies Hdf5Answer);
});
