/** Decoding at the same time as others, or alone: libvips keeps the texts of all its threads' errors in one place. */

let running = 0;
let whenIdle: () => void = () => {};
let soleTurn: Promise<void> | null = null;

/** Beside others, but not beside what runs alone. */
export async function besideOthers<T>(work: () => Promise<T>): Promise<T> {
  while (soleTurn !== null) await soleTurn;
  running++;
  try {
    return await work();
  } finally {
    running--;
    if (running === 0) whenIdle();
  }
}

/** When all others are done; those that come meanwhile wait. Of this thread alone, other threads know nothing of it. */
export async function alone<T>(work: () => Promise<T>): Promise<T> {
  while (soleTurn !== null) await soleTurn;
  let end = () => {};
  soleTurn = new Promise((resolve) => {
    end = resolve;
  });
  try {
    if (running > 0)
      await new Promise<void>((resolve) => {
        whenIdle = resolve;
      });
    return await work();
  } finally {
    soleTurn = null;
    end();
  }
}
