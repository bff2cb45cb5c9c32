/** The results of `bench --device cuda`, as JSON (`resnode-device-bench/2`) and as text. */
import type { CaffeTime } from './caffe-time.ts';
import { titleOf } from './report.ts';
import { median } from './statistics.ts';

export interface DeviceReport {
  readonly schema: 'resnode-device-bench/2';
  readonly date: string;
  readonly commit: string | null;
  readonly device: string;
  readonly description: Readonly<Record<string, string | number>>;
  /** For the operations. */
  readonly precision: string;
  /** The speed of a large copy in GB/s, reads plus writes; null if no operations were measured. */
  readonly copyGigabytes: number | null;
  /** For the operations. */
  readonly batch: number;
  readonly shapes: readonly OperationShape[];
  readonly nets: readonly NetTimes[];
}

/** One operation of the nets. */
export interface OperationShape {
  readonly operation: string;
  readonly name: string;
  /** The number of occurrences in the nets. */
  readonly count: number;
  /** The first implementation is the one that nets use. */
  readonly ways: readonly OperationWay[];
}

/** One implementation. */
export interface OperationWay {
  readonly name: string;
  readonly launches: number;
  /** The bytes that all its launches read and write. */
  readonly bytes: number;
  /** The largest error of its result, relative to 1 + |value|. */
  readonly worst: number;
  /** The duration of each run, by events on the device. */
  readonly microseconds: readonly number[];
  /** GB/s, and its share of the copy's speed. */
  readonly gigabytes: number;
  readonly ofCopy: number;
}

/** A whole net, or a training step. */
export interface NetTimes {
  readonly task: 'forward' | 'training';
  readonly net: string;
  readonly batch: number;
  readonly precision: string;
  /** From call to result, for one run at a time. */
  readonly milliseconds: readonly number[];
  /** The duration of a run while the next runs already wait; absent if it was not measured. */
  readonly throughputMilliseconds?: readonly number[];
  /** Null if it is unknown. */
  readonly operations: number | null;
  /** The same net without fusing (`optimize: false`), forward only. */
  readonly layerByLayer?: {
    readonly milliseconds: readonly number[];
    readonly operations: number;
    /** The largest difference of the outputs, relative to the largest value. */
    readonly difference: number;
  };
  /** The losses of the first steps. */
  readonly losses?: readonly number[];
  readonly skippedUpdates?: number;
  /** A build of Caffe on the same GPU; null: none was given. */
  readonly caffe: CaffeTime | null;
  /** Other engines on the same GPU, with the same weights and input. */
  readonly peers: readonly PeerTimes[];
}

/** Another engine on the same net. */
export interface PeerTimes {
  readonly engine: string;
  /** Like `NetTimes.milliseconds`; empty if it was not timed. */
  readonly milliseconds: readonly number[];
  readonly throughputMilliseconds?: readonly number[];
  /** The reason why it was not timed; null if it was. */
  readonly refusal: string | null;
  /** The difference of outputs or losses, relative to the largest value; null if they cannot be compared. */
  readonly difference: number | null;
  readonly losses?: readonly number[];
  readonly skippedUpdates?: number;
}

const us = (way: OperationWay) => median(way.microseconds);

/** The report as lines of text. */
export function deviceTable(report: DeviceReport): string {
  const about = Object.entries(report.description).map(([name, value]) => `${name} ${value}`);
  const lines = [`${report.device}: ${about.join(', ')}`];
  if (report.copyGigabytes !== null) {
    lines.push(
      '',
      `operations at batch ${report.batch}, ${report.precision}, µs by events, inputs rotated beyond the L2 cache; copy ${report.copyGigabytes.toFixed(0)} GB/s (read and written)`,
      "Caffe's schedule: the kernels and copies of its batch_norm, scale, relu and eltwise layers in float32, written here; with simple kernels instead of cuBLAS's products of rank one",
    );
    for (const { name, count, ways } of report.shapes) {
      lines.push('', `${name} (${count} in the nets)`);
      for (const way of ways) {
        const ratio = us(way) / us(ways[0]!);
        lines.push(
          `  ${us(way).toFixed(2).padStart(10)} µs ${way.gigabytes.toFixed(0).padStart(6)} GB/s ${percent(way.ofCopy).padStart(5)} of copy  ×${ratio.toFixed(2).padEnd(6)} ${way.name}, ${way.launches} ${way.launches === 1 ? 'launch' : 'launches'}`,
        );
      }
    }
  }
  for (const net of report.nets) lines.push('', ...netLines(net));
  return lines.join('\n');
}

function netLines(net: NetTimes): string[] {
  const own = median(net.milliseconds);
  const count = net.operations === null ? '' : `, ${net.operations} operations`;
  const lines = [
    `${titleOf(net)}, ${net.precision}: ${((1000 * net.batch) / own).toFixed(1)} images/s, median ${own.toFixed(3)} ms${count}`,
  ];
  if (net.losses !== undefined) lines.push(`  ${lossesText(net)}`);
  if (net.layerByLayer !== undefined) {
    const apart = median(net.layerByLayer.milliseconds);
    lines.push(
      `  layer by layer ${apart.toFixed(3)} ms, ${net.layerByLayer.operations} operations: fused is ${(apart / own).toFixed(2)} times as fast; this flatters Caffe, whose layers take more launches and passes`,
    );
  }
  if (net.caffe !== null)
    lines.push(
      `  Caffe: forward ${net.caffe.averageForward.toFixed(2)} ms, backward ${net.caffe.averageBackward.toFixed(2)} ms`,
    );
  for (const peer of net.peers) lines.push(`  ${peer.engine}: ${peerText(peer, own)}`);
  return lines;
}

/** The first losses and the number of skipped updates; empty if nothing was trained. */
export function lossesText({ losses, skippedUpdates }: Pick<NetTimes, 'losses' | 'skippedUpdates'>): string {
  if (losses === undefined) return '';
  const skipped = skippedUpdates === undefined ? '' : `; ${skippedUpdates} updates skipped`;
  return `first losses ${losses.map((loss) => loss.toFixed(4)).join(' ')}${skipped}`;
}

function peerText(peer: PeerTimes, own: number): string {
  const times = median(peer.milliseconds);
  const parts = [
    peer.refusal ?? `median ${times.toFixed(3)} ms, ${(times / own).toFixed(2)} times resnode's`,
    peer.difference === null ? '' : `${peer.difference.toExponential(1)} of the largest value different`,
    lossesText(peer),
  ];
  return parts.filter((part) => part !== '').join('; ');
}

const percent = (share: number) => `${(100 * share).toFixed(0)}%`;
