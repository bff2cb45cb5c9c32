const root='/work/w-lead';
import { readFileSync } from 'node:fs';
const { openDevice, readNet, filterNet, graphFromCaffe } = await import(`${root}/ts/index.ts`);
const { randomWeights, randomValues } = await import(`${root}/test/support/random-weights.ts`);
const file=process.argv[2];
const net = filterNet(readNet(readFileSync(file, 'utf8'), { file }));
const d = await openDevice('cpu', { threads: 2 });
const weights = randomWeights(graphFromCaffe(net,{batch:1}));
const model = await d.load({ model: net, weights, batch:1 });
const inputs = Object.fromEntries(Object.entries(model.inputs).map(([b, s], i) => [b, { shape: s, data: randomValues(s.reduce((a, c) => a * c, 1), 2, 0, i) }]));
const med = (a) => a.toSorted((x, y) => x - y)[a.length >> 1];
for (let k=0;k<3;k++){const t=[],u=[],w=[]; for(let i=0;i<60;i++){let s=performance.now(); await model.run(inputs); t.push(performance.now()-s); s=performance.now(); const r=await model.time(inputs); u.push(performance.now()-s); w.push(r.reduce((a,x)=>a+x.milliseconds,0));}
console.log('run',med(t).toFixed(2),Math.min(...t).toFixed(2),'time() wall',med(u).toFixed(2),'sum',med(w).toFixed(2), Object.keys(model.outputs).length, Object.keys(weights).length);}

const p = model.plan(); console.log(Object.keys(p), JSON.stringify(p.operations?.[3]).slice(0,300));
const rows=[]; for(let k=0;k<8;k++){ const r=await model.time(inputs); r.forEach((x,i)=>{(rows[i]??=[x.layer,[]])[1].push(x.milliseconds)}); }
rows.map(([l,v],i)=>[med(v),l,i,p.operations?.[i]?.kind,p.operations?.[i]?.implementation]).sort((a,b)=>b[0]-a[0]).slice(0,Number(process.argv[3]??25)).forEach(r=>console.log(r[0].toFixed(3),...r.slice(1)));
const by={}; rows.forEach(([l,v],i)=>{const k=p.operations?.[i]?.kind+' '+p.operations?.[i]?.implementation; by[k]=(by[k]??0)+med(v);}); console.log(Object.entries(by).sort((a,b)=>b[1]-a[1]).map(([k,v])=>v.toFixed(2)+' '+k).join('\n'));
process.exit(0);
