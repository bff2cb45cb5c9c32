// Prints the resources of each CUDA kernel in the last build, from ptxas's output (cuda/keep-ptxas.sh), and fails on
// spills.
//   node scripts/kernel-resources.mjs [BUILD FOLDER] [--json]
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One entry per kernel and architecture in the ptxas output for one file. */
export function parsePtxas(text, source) {
  const kernels = [];
  let kernel = null;
  const number = (pattern, line) => Number(pattern.exec(line)?.[1] ?? 0);
  for (const line of text.split('\n')) {
    const entry = /Compiling entry function '([^']+)' for '([^']+)'/.exec(line);
    if (entry) {
      kernel = {
        source,
        name: entry[1],
        architecture: entry[2],
        registers: 0,
        spills: 0,
        stack: 0,
        shared: 0,
      };
      kernels.push(kernel);
    } else if (kernel && line.includes('bytes stack frame')) {
      // A device function that was not inlined has its own line before the kernel's figures.
      kernel.stack = Math.max(kernel.stack, number(/(\d+) bytes stack frame/, line));
      kernel.spills += number(/(\d+) bytes spill stores/, line) + number(/(\d+) bytes spill loads/, line);
    } else if (kernel && /Used \d+ registers/.test(line)) {
      kernel.registers = number(/Used (\d+) registers/, line);
      kernel.shared = number(/(\d+) bytes smem/, line);
    }
  }
  return kernels;
}

/** Readable names, without namespaces and parameter lists. */
function demangle(names) {
  const run = spawnSync('c++filt', [], { input: names.join('\n'), encoding: 'utf8' });
  if (run.status !== 0) return names;
  return run.stdout.split('\n').map((name) =>
    name
      .replace(/^void /, '')
      .replace(/(\w+::|\(anonymous namespace\)::)+/g, '')
      .replace(/\((?!anonymous)[A-Z]\w*\)(\d)/g, '$1')
      .replace(/>\(.*$/, '>')
      .replace(/^(\w+)\(.*$/, '$1'),
  );
}

/** Every kernel of a build folder whose source still exists. */
export function kernelResources(folder) {
  const sources = readdirSync(fileURLToPath(new URL('../cuda', import.meta.url)), { recursive: true })
    .filter((name) => name.endsWith('.cu'))
    .map((name) => basename(name));
  const logs = readdirSync(folder, { recursive: true }).filter(
    (name) => name.endsWith('.o.ptxas') && sources.includes(basename(name).replace(/\.o\.ptxas$/, '')),
  );
  const kernels = logs.flatMap((log) =>
    parsePtxas(readFileSync(join(folder, log), 'utf8'), basename(log).replace(/\.o\.ptxas$/, '')),
  );
  const names = demangle(kernels.map((kernel) => kernel.name));
  return kernels
    .map((kernel, i) => ({ ...kernel, name: names[i] ?? kernel.name }))
    .sort((a, b) => (`${a.source} ${a.name}` < `${b.source} ${b.name}` ? -1 : 1));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const json = process.argv.includes('--json');
  const folder =
    process.argv.slice(2).find((argument) => !argument.startsWith('--')) ??
    fileURLToPath(new URL('../build', import.meta.url));
  const kernels = kernelResources(folder);
  const spilling = kernels.filter((kernel) => kernel.spills > 0);
  if (json) console.log(JSON.stringify(kernels, null, 2));
  else {
    console.log('registers  spills  stack  shared  architecture  kernel');
    for (const { registers, spills, stack, shared, architecture, source, name } of kernels) {
      const figures = [registers, spills, stack, shared].map((value, i) =>
        String(value).padStart([9, 6, 5, 6][i]),
      );
      console.log(`${figures.join('  ')}  ${architecture.padEnd(12)}  ${source}: ${name}`);
    }
    console.log(`${kernels.length} kernels, ${spilling.length} with spills`);
  }
  if (kernels.length === 0) console.error(`No .ptxas file lies in ${folder}: build with nvcc first`);
  process.exitCode = kernels.length === 0 || spilling.length > 0 ? 1 : 0;
}
