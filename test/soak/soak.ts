/** Sends a service the requests of a day, one in ten of them hostile, and watches its memory. */
import { fork } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { mutateBytes } from '../fuzz/mutate-bytes.ts';
import { Random } from '../fuzz/random.ts';
import { repositoryFolder } from '../support/golden.ts';

export interface SoakFigures {
  readonly requests: number;
  /** The number of answers by status. */
  readonly statuses: Readonly<Record<number, number>>;
  /** Requests that the client aborted. */
  readonly abandoned: number;
  /** Descriptions of requests without an answer, and of wrong answers. */
  readonly lost: readonly string[];
  readonly workers: number;
  /** RSS of the service in bytes: after a tenth of the requests, the peak, and at the end. */
  readonly rss: { readonly warm: number; readonly most: number; readonly end: number };
}

const example = (name: string) => readFileSync(join(repositoryFolder, 'examples/fashion', name));
const images = readdirSync(join(repositoryFolder, 'examples/fashion/images'))
  .filter((name) => name.endsWith('.png'))
  .map((name) => example(`images/${name}`));

interface Sent {
  readonly path: string;
  readonly body: Buffer;
  readonly expect: readonly number[];
  /** Abort after sending. */
  readonly abandon?: boolean;
}

const SVG = Buffer.from(
  '<svg xmlns="http://www.w3.org/2000/svg" width="9000" height="9000"><filter id="f"><feTurbulence numOctaves="99"/></filter><rect width="9000" height="9000" filter="url(#f)"/></svg>',
);

/** A PNG with few bytes and many pixels. */
function bomb(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(data.length);
    const tail = Buffer.alloc(4);
    tail.writeUInt32BE(crc32(body));
    return Buffer.concat([head, body, tail]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const rows = deflateSync(Buffer.alloc((width * 3 + 1) * 64));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function crc32(bytes: Buffer): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

const BOMB = bomb(16384, 8192);
const weights = example('model.caffemodel').subarray(0, 60_000);
const net = example('deploy.prototxt');

function hostile(random: Random): Sent {
  const refused = [422];
  const either = [200, 422];
  const image = random.pick(images);
  return random.pick<() => Sent>([
    () => ({ path: '/classify', body: SVG, expect: refused }),
    () => ({ path: '/classify', body: BOMB, expect: refused }),
    () => ({ path: '/classify', body: Buffer.alloc(0), expect: refused }),
    () => ({ path: '/classify', body: Buffer.from('<!doctype html><p>not found</p>'), expect: refused }),
    () => ({ path: '/classify', body: image.subarray(0, 40), expect: refused }),
    () => ({ path: '/classify', body: mutateBytes(image, random), expect: either }),
    () => ({ path: '/classify', body: image, expect: [200], abandon: true }),
    () => ({ path: '/weights', body: mutateBytes(weights, random), expect: either }),
    () => ({ path: '/net', body: mutateBytes(net, random), expect: either }),
  ])();
}

const agent = new Agent({ keepAlive: true, maxSockets: 16 });

function send(port: number, { path, body, abandon }: Sent): Promise<{ status: number; text: string } | null> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, method: 'POST', agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve({ status: response.statusCode!, text }));
    });
    call.on('error', (error) => (abandon ? resolve(null) : reject(error)));
    call.end(body);
    if (abandon) setTimeout(() => call.destroy(), 1);
  });
}

/** @param workers How many workers are started and terminated on the way. */
export async function soak(count: number, workers: number, seed: number): Promise<SoakFigures> {
  const child = fork(join(repositoryFolder, 'test/soak/server.ts'), [], {
    execArgv: ['--import', 'tsx', '--expose-gc'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message: { port: number }) => resolve(message.port));
    child.once('exit', (code, signal) => reject(new Error(`the service ended: ${signal ?? code}`)));
  });
  const statuses: Record<number, number> = {};
  const lost: string[] = [];
  let abandoned = 0;
  let [warm, most, end] = [0, 0, 0];
  let next = 0;
  const memory = async () => {
    const answer = await send(port, { path: '/memory', body: Buffer.alloc(0), expect: [200] });
    end = (JSON.parse(answer!.text) as { rss: number }).rss;
    most = Math.max(most, end);
  };
  const one = async (index: number) => {
    const random = new Random(seed * 1_000_003 + index);
    const isWorker = workers > 0 && index % Math.ceil(count / workers) === 0;
    const sent: Sent = isWorker
      ? { path: '/worker', body: Buffer.alloc(0), expect: [200] }
      : index % 10 === 0
        ? hostile(random)
        : { path: '/classify', body: random.pick(images), expect: [200] };
    try {
      const answer = await send(port, sent);
      if (answer === null) abandoned++;
      else {
        statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
        if (!sent.expect.includes(answer.status))
          lost.push(`request ${index}, ${sent.path}: ${answer.status} ${answer.text.slice(0, 300)}`);
      }
    } catch (error) {
      lost.push(`request ${index}, ${sent.path}: ${(error as Error).message}`);
    }
    if (index === Math.floor(count / 10)) {
      await memory();
      warm = end;
    } else if (index % Math.max(1, Math.floor(count / 40)) === 0) await memory();
  };
  const client = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: 16 }, client));
  await memory();
  child.removeAllListeners('exit');
  child.disconnect();
  await new Promise((resolve) => child.once('exit', resolve));
  return { requests: count, statuses, abandoned, lost, workers, rss: { warm, most, end } };
}

export function describe({ requests, statuses, abandoned, lost, workers, rss }: SoakFigures): string {
  const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
  const answers = Object.entries(statuses).map(([status, count]) => `${count} × ${status}`);
  return `${requests} requests: ${answers.join(', ')}, ${abandoned} broken off by the client, ${lost.length} lost; ${workers} workers terminated; RSS ${mib(rss.warm)} after a tenth, ${mib(rss.most)} at most, ${mib(rss.end)} at the end`;
}
