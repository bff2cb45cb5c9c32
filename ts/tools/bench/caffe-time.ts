/**
 * Measures the user's own Caffe: runs `caffe time` (tools/caffe.cpp, `time()`) and reads its log. That command runs in
 * TRAIN phase and always goes backward, so the report keeps forward and backward apart. A comparison uses the forward
 * figure.
 */
import { spawn } from 'node:child_process';
import { ArgumentError, ResnodeError } from '../../base/errors.ts';

/** Milliseconds per batch of one run of `caffe time`. */
export interface CaffeTime {
  readonly iterations: number;
  /** Forward and backward together, for each iteration. Caffe's CPU timer counts whole milliseconds. */
  readonly forwardBackward: readonly number[];
  readonly layers: readonly { readonly name: string; readonly forward: number; readonly backward: number }[];
  /** The means over all iterations, which include the layers' own timers. */
  readonly averageForward: number;
  readonly averageBackward: number;
  readonly averageForwardBackward: number;
  /** "CPU", or the GPU's name in the log; null if the log does not name it. */
  readonly device: string | null;
}

// glog: severity, month and day, time, thread, file:line.
const PREFIX = /^[IWE]\d{4,8} \d\d:\d\d:\d\d\.\d+\s+\d+ \S+:\d+\] /;
const NUMBER = String.raw`([\d.]+(?:e[+-]?\d+)?)`;
const LAYER = new RegExp(String.raw`^\s*(\S.*?)\s+(forward|backward): ${NUMBER} ms\.$`);

/**
 * Reads the log of `caffe time`, from the beginning or from "*** Benchmark begins ***".
 * @param file The name for errors.
 * @throws ResnodeError `bench/caffe-log` if it is not such a log, or one that ended early
 */
export function parseCaffeTime(log: string, file = 'the log'): CaffeTime {
  const lines = log.split('\n').map((line) => line.replace(PREFIX, '').trimEnd());
  const fail = (expected: string): never => {
    const error = lines.find((line) => /Check failed|F\d{4} /.test(line));
    throw new ResnodeError(
      'bench/caffe-log',
      `${file}: expected ${expected} of \`caffe time\`, found ${error === undefined ? 'none' : `"${error.trim()}"`}; run it until "*** Benchmark ends ***"`,
    );
  };
  const number = (pattern: string): number =>
    Number(
      find(lines, new RegExp(`^${pattern.replace('#', NUMBER)}`)) ?? fail(`"${pattern.replace('#', '…')}"`),
    );
  const iterations = number('Testing for # iterations');
  const layers = new Map<string, { name: string; forward: number; backward: number }>();
  for (const line of lines) {
    const [, name, direction, milliseconds] = LAYER.exec(line) ?? [];
    if (name === undefined) continue;
    // Caffe allows several layers of one name. They follow each other, forward first.
    let key = name;
    while (direction === 'forward' && layers.has(key)) key += ' ';
    if (direction === 'backward') while (layers.has(`${key} `)) key += ' ';
    const layer = layers.get(key) ?? { name, forward: 0, backward: 0 };
    layer[direction as 'forward' | 'backward'] = Number(milliseconds);
    layers.set(key, layer);
  }
  const forwardBackward = lines.flatMap((line) => {
    const match = new RegExp(`^Iteration: \\d+ forward-backward time: ${NUMBER} ms`).exec(line);
    return match === null ? [] : [Number(match[1])];
  });
  if (forwardBackward.length !== iterations) fail(`${iterations} lines "Iteration: …"`);
  if (layers.size === 0) fail('"Average time per layer"');
  const gpu = find(lines, /^Use GPU with device ID (\d+)/);
  return {
    iterations,
    forwardBackward,
    layers: [...layers.values()],
    averageForward: number('Average Forward pass: # ms'),
    averageBackward: number('Average Backward pass: # ms'),
    averageForwardBackward: number('Average Forward-Backward: # ms'),
    device: gpu !== undefined ? `GPU ${gpu}` : lines.some((line) => line === 'Use CPU.') ? 'CPU' : null,
  };
}

/**
 * Runs `PATH time`, where `PATH` is a build's `caffe` tool.
 * @param options `iterations`: default 50, as in Caffe; `gpu`: a device number; `threads`: the limit for OpenBLAS, MKL and
 * OpenMP.
 * @throws ArgumentError if the tool cannot be started; ResnodeError `bench/caffe-log` with its output
 */
export async function runCaffeTime(
  caffe: string,
  model: string,
  options: {
    readonly iterations?: number;
    readonly gpu?: number;
    readonly threads?: number;
    readonly signal?: AbortSignal;
  } = {},
): Promise<CaffeTime> {
  const { iterations = 50, gpu, threads, signal } = options;
  const limits =
    threads === undefined
      ? {}
      : Object.fromEntries(
          ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'].map((name) => [
            name,
            String(threads),
          ]),
        );
  const flags = [
    'time',
    `-model=${model}`,
    `-iterations=${iterations}`,
    ...(gpu === undefined ? [] : [`-gpu=${gpu}`]),
  ];
  const child = spawn(caffe, flags, {
    env: { ...process.env, ...limits, GLOG_logtostderr: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(signal === undefined ? {} : { signal }),
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  await new Promise<void>((resolve, reject) => {
    child.once('close', () => resolve());
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.name === 'AbortError'
          ? error
          : new ArgumentError(
              '--caffe',
              "the path of a Caffe build's tool `caffe`",
              `${caffe} (${error.code})`,
            ),
      ),
    );
  });
  return parseCaffeTime(log, `${caffe} time`);
}

function find(lines: readonly string[], pattern: RegExp): string | undefined {
  for (const line of lines) {
    const match = pattern.exec(line);
    if (match !== null) return match[1];
  }
  return undefined;
}
