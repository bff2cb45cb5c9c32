// Child processes with a time limit.
import { spawn } from 'node:child_process';

const KEPT = 2 ** 24;

let underWay = null;

// Ends the running command, which is then reported as any command that was killed.
export function endUnderWay() {
  if (underWay !== null) end(underWay);
}

function end(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has already ended.
  }
}

// Kills the child and all that it started after `limit` seconds. → { status, timedOut, stdout, stderr }
export function run([command, ...words], { limit, environment = {} }) {
  return new Promise((resolve) => {
    const child = spawn(command, words, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    const text = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'])
      child[name].setEncoding('utf8').on('data', (part) => {
        text[name] = (text[name] + part).slice(-KEPT);
      });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      end(child);
    }, limit * 1000);
    underWay = child;
    child.on('error', (error) => finish({ status: null, stderr: error.message }));
    child.on('close', (status, signal) => finish({ status: status ?? signal }));
    const finish = (outcome) => {
      clearTimeout(timer);
      if (underWay === child) underWay = null;
      resolve({ timedOut, ...text, ...outcome });
    };
  });
}

// The error of a Node or Python program, else its last lines.
export function tail(text) {
  const lines = text.trim().split('\n');
  const error = lines.filter((line) => /^\w*(Error|Exception)\b.*:/.test(line)).at(-1);
  return (error ?? lines.slice(-3).join(' | ')).slice(-600);
}

// Why a command failed; null if it succeeded.
export const failure = ({ status, timedOut, stdout, stderr }, limit) =>
  timedOut
    ? `not done within ${Math.round(limit)} s`
    : status === 0
      ? null
      : `ended with ${status}: ${tail(stderr) || tail(stdout)}`;
