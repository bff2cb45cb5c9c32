/** Runs bench/torch-peer.py and bench/jax-peer.py, Python processes that answer line by line. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export type Answer = Record<string, unknown>;

/** The script to run. */
export type PeerName = 'torch' | 'jax';

export class PythonPeer {
  readonly name: PeerName;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  private constructor(name: PeerName, device: string, python: string) {
    this.name = name;
    const script = fileURLToPath(new URL(`../${name}-peer.py`, import.meta.url));
    this.#child = spawn(python, [script, '--device', device], { detached: true });
    this.#child.on('error', (error) => {
      this.#errors += error.message;
    });
    this.#child.stdin.on('error', () => {}); // the missing answer reports it
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-4000);
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /**
   * @param device `cuda` or `cpu`
   * @throws Error if there is no Python, or it lacks the package, or the package sees no such device
   */
  static async start(
    name: PeerName,
    { seconds, device, python }: { seconds: number; device: string; python: string },
  ): Promise<{ peer: PythonPeer; about: Answer }> {
    const peer = new PythonPeer(name, device, python);
    return { peer, about: await peer.#answer(seconds) };
  }

  /** @throws Error with the peer's message. If the answer takes longer than `seconds`, the process is killed */
  async ask(request: Answer, seconds: number): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return this.#answer(seconds);
  }

  async #answer(seconds: number): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, seconds * 1000, 'late');
    });
    const next = await Promise.race([this.#lines.next(), late]);
    clearTimeout(timer);
    if (next === 'late') {
      this.end();
      throw new Error(`${this.name} was not done within ${Math.round(seconds)} s`);
    }
    if (next.done)
      throw new Error(`${this.name} ended: ${this.#errors.trim().split('\n').at(-1) || 'without a word'}`);
    const answer = JSON.parse(next.value) as Answer;
    if (typeof answer.error === 'string') throw new Error(answer.error);
    return answer;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.killed;
  }

  /** Ends the process and the compilers that it started. */
  end(): void {
    this.#child.kill('SIGKILL');
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // It had already exited.
    }
  }
}
