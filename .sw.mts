import { readFileSync, writeFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
const [root, ...files] = process.argv.slice(2);
const { openDevice, readNet, filterNet, graphFromCaffe } = await import(`${root}/ts/index.ts`);
const { randomWeights, randomValues } = await import(`${root}/test/support/random-weights.ts`);
const { blobsOf } = await import(`${root}/ts/convert/network.ts`);
const { onnxChunks } = await import(`${root}/ts/convert/onnx-write.ts`);
const { toOnnx } = await import(`${root}/ts/convert/to-onnx.ts`);
const { withOutputs } = await import(`${root}/ts/graph/outputs.ts`);
const { removeUnused } = await import(`${root}/ts/passes/simplify.ts`);
const { InferenceSession, Tensor } = createRequire('/work/main/package.json')('onnxruntime-node');
const med = (a) => a.toSorted((x, y) => x - y)[a.length >> 1];
const device = await openDevice('cpu', { threads: 2 });
for (const file of files) {
  const short = file.split('/').slice(-2).join('/').slice(-70);
  try {
    const net = filterNet(readNet(readFileSync(file, 'utf8'), { file }));
    let whole = graphFromCaffe(net, { batch: 1 });
    const weights = randomWeights(whole);
    let bytes, outs = whole.outputs.map((id) => whole.values[id].blob), note = '';
    let g = whole;
    for (let k = 0; k < 60; k++) {
      try { bytes = [...onnxChunks(toOnnx(g, blobsOf(whole, weights)))]; break; }
      catch (e) {
        const m = /layer "([^"]+)"/.exec(e.message) ?? /"([^"]+)"/.exec(e.message);
        const node = whole.nodes.findIndex((n) => n.layer === m?.[1] || n.name === m?.[1]);
        if (node < 0) { note = e.message.slice(0, 100); throw new Error('export: ' + note); }
        note = 'cut at ' + m[1];
        const before = whole.nodes.slice(0, node);
        const made = new Set(before.flatMap((n) => n.outputs)); const read = new Set(before.flatMap((n) => n.inputs));
        outs = [...made].filter((id) => !read.has(id)).map((id) => whole.values[id].blob);
        const cut = removeUnused(withOutputs(whole, outs)); const rd = new Set(cut.nodes.flatMap((n) => n.inputs));
        g = { ...cut, inputs: cut.inputs.filter((id) => rd.has(id)) };
      }
    }
    if (!bytes) throw new Error('no export');
    const path = `/tmp/team/sw/${process.pid}.onnx`; writeFileSync(path, Buffer.concat(bytes));
    const model = await device.load({ model: net, weights, outputs: outs, batch: 1 });
    const session = await InferenceSession.create(path, { logSeverityLevel: 4, intraOpNumThreads: 2, graphOptimizationLevel: 'all' });
    rmSync(path);
    const inputs = Object.fromEntries(Object.entries(model.inputs).map(([b, s], i) => [b, { shape: s, data: b === 'im_info' ? Float32Array.of(s[0] && 600, 800, 1) : randomValues(s.reduce((a, c) => a * c, 1), 2, 0, i) }]));
    const feeds = Object.fromEntries(session.inputNames.map((b) => [b, new Tensor('float32', inputs[b].data, inputs[b].shape)]));
    const loop = async (f) => { const t = []; const end = performance.now() + 700; for (let i = 0; i < 3 || (performance.now() < end); i++) { const s = performance.now(); await f(); t.push(performance.now() - s); } return t; };
    const sleep = () => new Promise((r) => setTimeout(r, 60));
    const a = [], b = [];
    let diff = 0;
    { const x = await model.run(inputs), y = await session.run(feeds); for (const o of outs) { const l = x[o]?.data, r = (y[o] ?? y[session.outputNames[outs.indexOf(o)]])?.data; if (!l || !r) continue; let m = 0, d = 0; for (let i = 0; i < l.length; i++) { m = Math.max(m, Math.abs(r[i])); d = Math.max(d, Math.abs(l[i] - r[i])); } diff = Math.max(diff, d / m); } }
    for (let r = 0; r < 2; r++) { a.push(...(await loop(() => model.run(inputs))).slice(1)); await sleep(); b.push(...(await loop(() => session.run(feeds))).slice(1)); await sleep(); }
    const [x, y] = [med(a), med(b)];
    console.log(`${(y / x).toFixed(2)} ${x.toFixed(2)} ${y.toFixed(2)} GMAC ${(model.plan().macs / 1e9).toFixed(2)} diff ${diff.toExponential(1)} ${short} ${note}`);
    if (process.env.REF) { const p = model.plan(), type = new Map(net.layer.map((l) => [l.name, l.type])); const by = {}; let sum = 0; const rows = []; for (let k = 0; k < 4; k++) (await model.time(inputs)).forEach((r, i) => (rows[i] ??= [r.layer, []])[1].push(r.milliseconds)); rows.forEach(([l, v], i) => { const m = Math.min(...v); sum += m; if (p.operations[i].implementation === 'reference') { const k = type.get(l) ?? l; by[k] = (by[k] ?? 0) + m; } }); const e = Object.entries(by).filter(([, v]) => v > 0.015 * sum).sort((a, b) => b[1] - a[1]); if (e.length) console.log('      reference:', e.map(([k, v]) => k + ' ' + v.toFixed(2)).join(', ')); }
    if (process.env.TOP) { const per = new Map(); for (let k = 0; k < 6; k++) for (const r of await model.time(inputs)) per.set(r.layer, [...(per.get(r.layer) ?? []), r.milliseconds]); for (const [n, v] of [...per].map(([n, v]) => [n, Math.min(...v)]).sort((p, q) => q[1] - p[1]).slice(0, Number(process.env.TOP))) console.log('    ', v.toFixed(3), n); }
    await session.release?.(); model.dispose();
  } catch (e) { console.log(`FAIL ${short} ${String(e.message).slice(0, 160).replaceAll('\n', ' ')}`); }
}
process.exit(0);
