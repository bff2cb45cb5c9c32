/**
 * `npm run bench-serving -- --requests 2000 --json FILE`: a classification server under load over loopback, compared
 * with one on onnxruntime-node, both at its defaults and without spinning. ResNet-50 with random weights, a JPEG of
 * 500×375, 16 connections. The servers take turns, round by round, and their answers are compared before anything is
 * timed.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import sharp from 'sharp';
import { savePreprocess } from '../ts/api/images.ts';
import { writeFileAtomically } from '../ts/caffe/atomic-file.ts';
import { resnet } from '../ts/index.ts';
import { prepare } from '../ts/tools/bench/prepare.ts';
import type { ServingReport, ServingRound } from './serving-report.ts';

const CONNECTIONS = 16;
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const ORT = here('serving/onnxruntime-server.mjs');
const SERVERS = [
  { name: 'resnode', file: here('../examples/http-server/server.mjs'), env: {} },
  { name: 'onnxruntime-node', file: ORT, env: {} },
  { name: 'onnxruntime-node, allow_spinning 0', file: ORT, env: { ALLOW_SPINNING: '0' } },
] as const;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      requests: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '3' },
      json: { type: 'string' },
    },
  });
  const [requests, rounds] = [Number(values.requests), Number(values.rounds)];
  const folder = mkdtempSync(join(tmpdir(), 'resnode-serving-'));
  try {
    const images = await writeFiles(folder);
    const all = new Map(SERVERS.map(({ name }) => [name as string, [] as ServingRound[]]));
    for (let round = 0; round < rounds; round++)
      for (const server of SERVERS) {
        const measured = await serve(server, folder, images, requests);
        all.get(server.name)!.push(measured);
        console.error(`${server.name}: ${JSON.stringify(measured)}`);
      }
    const report: ServingReport = {
      date: new Date().toISOString().slice(0, 10),
      processor: cpus()[0]!.model,
      cores: cpus().length,
      ...{ node: process.versions.node, connections: CONNECTIONS, requests, rounds },
      servers: [...all].map(([name, measured]) => ({ name, median: medians(measured), rounds: measured })),
    };
    if (values.json !== undefined) writeFileAtomically(values.json, [`${JSON.stringify(report, null, 2)}\n`]);
    console.table(Object.fromEntries(report.servers.map(({ name, median }) => [name, median])));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A model folder with model.onnx in it; one image for timing, and one that needs no resizing for the comparison. */
async function writeFiles(folder: string) {
  prepare({ name: 'model', net: resnet({ depth: 50 }), input: [3, 224, 224] }, [1], folder, 'TEST');
  renameSync(join(folder, 'model-1.onnx'), join(folder, 'model.onnx'));
  savePreprocess(join(folder, 'preprocess.json'), {
    resize: { shorterSide: 256 },
    crop: { width: 224, height: 224 },
    mean: [103.063, 115.903, 123.152],
  });
  const picture = (width: number, height: number) => {
    const data = Buffer.alloc(width * height * 3);
    for (let i = 0; i < data.length; i++)
      data[i] = 127 + 90 * Math.sin(i / 97) + 30 * Math.sin(i / (width * 3.1));
    return sharp(data, { raw: { width, height, channels: 3 } });
  };
  return {
    timed: await picture(500, 375).jpeg().toBuffer(),
    compared: await picture(256, 256).png().toBuffer(),
  };
}

async function serve(
  { name, file, env }: (typeof SERVERS)[number],
  folder: string,
  { timed, compared }: { readonly timed: Buffer; readonly compared: Buffer },
  requests: number,
): Promise<ServingRound> {
  const child = spawn(process.execPath, ['--import', 'tsx', file, folder], {
    env: { ...process.env, ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (text) => {
        const found = /listening on (\d+)/.exec(String(text));
        if (found !== null) resolve(found[1]!);
      });
      child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
    });
    const url = `http://127.0.0.1:${port}`;
    await checkAnswer(name, url, compared);
    const load = (amount: number) =>
      autocannon({
        url: `${url}/classify`,
        method: 'POST',
        body: timed,
        connections: CONNECTIONS,
        amount,
        timeout: 120,
      });
    await load(4 * CONNECTIONS);
    const before = await metricsOf(url);
    const result = await load(requests);
    const after = await metricsOf(url);
    return {
      requestsPerSecond: requests / result.duration,
      cpuMilliseconds:
        (1000 * (after('process_cpu_seconds_total') - before('process_cpu_seconds_total'))) / requests,
      p50: result.latency.p50,
      p99: result.latency.p99,
      eventLoopLateP99: 1000 * after('nodejs_eventloop_lag_p99_seconds'),
      residentMegabytes: after('process_resident_memory_bytes') / 1e6,
      refused: result.non2xx,
    };
  } finally {
    child.kill('SIGKILL');
  }
}

let expected: { index: number; probability: number } | null = null;

/** All servers must name the same class, with the same probability up to rounding. */
async function checkAnswer(name: string, url: string, image: Buffer): Promise<void> {
  const response = await fetch(`${url}/classify`, { method: 'POST', body: new Uint8Array(image) });
  const [best] = (await response.json()) as [{ index: number; probability: number }];
  expected ??= best;
  if (best.index !== expected.index || Math.abs(best.probability - expected.probability) > 1e-3)
    throw new Error(`${name} answers ${JSON.stringify(best)}, the first server ${JSON.stringify(expected)}`);
}

async function metricsOf(url: string): Promise<(name: string) => number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

function medians(rounds: readonly ServingRound[]): ServingRound {
  const middle = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
  const names = Object.keys(rounds[0]!) as (keyof ServingRound)[];
  return Object.fromEntries(
    names.map((name) => [name, middle(rounds.map((round) => round[name]))]),
  ) as unknown as ServingRound;
}

await main();
