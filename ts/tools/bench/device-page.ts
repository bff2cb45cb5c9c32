/** A GPU's report as one HTML page with plots and tables. It has no script and loads nothing from the network. */
import { barsHtml } from '../../pages/bars.ts';
import { escapeHtml, factsTable, htmlPage, numbersTable } from '../../pages/html.ts';
import { throughputBars } from './charts.ts';
import { type DeviceReport, lossesText, type NetTimes, type OperationShape } from './device-report.ts';
import { type Section, STYLE, sectionsHtml, summaryTable } from './page-parts.ts';
import { titleOf } from './report.ts';
import { median } from './statistics.ts';

export function devicePage(report: DeviceReport): string {
  const { date, device, description, commit, copyGigabytes, batch, precision, shapes } = report;
  const sections: Section[] = [];
  for (const net of report.nets) sections.push({ title: netTitle(net), body: netPart(net) });
  if (shapes.length > 0)
    sections.push({
      title: `Operations at batch ${batch}, ${precision}`,
      body: `<p class="lead">Times are taken by events on the GPU; inputs are rotated beyond its L2 cache. A large copy reaches ${copyGigabytes?.toFixed(0) ?? 'unknown'} GB/s, read and written. Caffe's schedule is written here from its layers, in float32.</p>
${shapeTable(shapes)}`,
    });
  const facts: [string, string][] = [
    ['GPU', device],
    ...Object.entries(description).map(([name, value]): [string, string] => [name, String(value)]),
    ['commit', commit ?? 'not in a checkout'],
  ];
  return htmlPage({
    title: `resnode bench, ${date.slice(0, 10)}`,
    style: STYLE,
    body: `<h1>resnode bench</h1>
<p class="lead">${escapeHtml(date.slice(0, 16).replace('T', ' '))} UTC, ${escapeHtml(device)}. Inputs and weights are on the GPU, results are fetched.</p>
${summaryTable(report.nets.map(summaryOf))}
${sectionsHtml([...sections, { title: 'How it was measured', body: factsTable(facts) }])}`,
  });
}

const netTitle = (net: NetTimes) => `${titleOf(net)}, ${net.precision}`;

const summaryOf = (net: NetTimes) => {
  const timed = [{ engine: 'resnode', milliseconds: net.milliseconds }, ...net.peers].filter(
    ({ milliseconds }) => milliseconds.length > 0,
  );
  const speedOf = (milliseconds: readonly number[]) => (1000 * net.batch) / median(milliseconds);
  return {
    title: netTitle(net),
    speeds: new Map(timed.map(({ engine, milliseconds }) => [engine, speedOf(milliseconds)])),
  };
};

interface Line {
  readonly engine: string;
  readonly milliseconds: readonly number[];
  readonly throughputMilliseconds?: readonly number[];
  readonly remark: string;
}

function netPart(net: NetTimes): string {
  const own: Line = { engine: 'resnode', ...net, remark: lossesText(net) };
  const apart: Line[] =
    net.layerByLayer === undefined
      ? []
      : [
          {
            engine: 'resnode, layer by layer',
            milliseconds: net.layerByLayer.milliseconds,
            remark: `${net.layerByLayer.operations} operations instead of ${net.operations} when fused`,
          },
        ];
  const peers = net.peers.map((peer): Line => {
    const difference =
      peer.difference === null ? '' : `${peer.difference.toExponential(1)} of the largest value different`;
    return { ...peer, remark: [peer.refusal, difference, lossesText(peer)].filter(Boolean).join('; ') };
  });
  const lines = [own, ...apart, ...peers];
  const timed = lines.filter(({ milliseconds }) => milliseconds.length > 0);
  const results = timed.map(({ engine, milliseconds }) => ({
    engine,
    quiet: milliseconds.map((each) => [each]),
    busy: null,
  }));
  return `<figure>${barsHtml(throughputBars({ batch: net.batch, results }))}<figcaption>Bars are medians of the runs, one at a time; lines go from the slowest to the fastest.</figcaption></figure>
${numbersTable(
  ['engine', 'images/s', 'median ms', 'least', 'most', 'throughput ms', "time over resnode's", 'remark'],
  [...lines.map((line) => cells(line, net)), ...caffeRow(net)],
)}`;
}

function cells({ engine, milliseconds, throughputMilliseconds = [], remark }: Line, net: NetTimes): string[] {
  if (milliseconds.length === 0) return [engine, '', '', '', '', '', '', remark];
  const middle = median(milliseconds);
  return [
    engine,
    ((1000 * net.batch) / middle).toFixed(1),
    middle.toFixed(3),
    Math.min(...milliseconds).toFixed(3),
    Math.max(...milliseconds).toFixed(3),
    throughputMilliseconds.length === 0 ? '' : median(throughputMilliseconds).toFixed(3),
    (middle / median(net.milliseconds)).toFixed(2),
    remark,
  ];
}

function caffeRow({ caffe, batch, task }: NetTimes): string[][] {
  if (caffe === null) return [];
  const middle = task === 'training' ? caffe.averageForwardBackward : caffe.averageForward;
  const what = task === 'training' ? 'forward and backward without an update' : 'forward';
  const speed = ((1000 * batch) / middle).toFixed(1);
  return [['Caffe', speed, middle.toFixed(3), '', '', '', '', `mean of ${what}`]];
}

function shapeTable(shapes: readonly OperationShape[]): string {
  return numbersTable(
    [
      'operation',
      'in the nets',
      'way',
      'launches',
      'median µs',
      'GB/s',
      'of copy',
      'time over the first way',
    ],
    shapes.flatMap(({ name, count, ways }) =>
      ways.map((way, i) => {
        const middle = median(way.microseconds);
        return [
          i === 0 ? name : '',
          i === 0 ? String(count) : '',
          way.name,
          String(way.launches),
          middle.toFixed(2),
          way.gigabytes.toFixed(0),
          `${(100 * way.ofCopy).toFixed(0)}%`,
          (middle / median(ways[0]!.microseconds)).toFixed(2),
        ];
      }),
    ),
  );
}
