/** A device: where models live and run. The only folder that talks to the addon. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type WeightsFile, readCaffemodel } from '../caffe/caffemodel.ts';
import { fill, seededRandom } from '../caffe/fillers.ts';
import { matchWeights } from '../caffe/match-weights.ts';
import { type NetParameter, filterNet, readNet } from '../caffe/net-parameter.ts';
import { ArgumentError, WeightsError } from '../errors.ts';
import { graphFromCaffe, withOutputs } from '../graph/from-caffe.ts';
import type { NativeDevice, NativeMemory } from '../native/binding.ts';
import { convertError } from '../native/convert-error.ts';
import { loadBinding } from '../native/load.ts';
import { runPasses } from '../passes/index.ts';
import { lower } from '../program/lower.ts';
import { packWeights } from '../program/pack-weights.ts';
import { planMemory } from '../program/plan-memory.ts';
import { Model } from './model.ts';

export interface DeviceOptions {
  /** Threads of the CPU device. Default: as many as the process may use. */
  readonly threads?: number;
}

export interface LoadOptions {
  /** Path of a prototxt, or a NetParameter. */
  readonly model: string | NetParameter;
  /** Path of a .caffemodel, or one that was read. Without it parameters keep their fillers. */
  readonly weights?: string | WeightsFile;
  /** Blobs to return: `blob` or `blob@layer`. Default: those that no layer reads, as Caffe. */
  readonly outputs?: readonly string[];
  /** Replaces the first dimension of every input. */
  readonly batch?: number;
  /** Shapes of inputs by blob name. */
  readonly inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** Default TEST. */
  readonly phase?: 'TRAIN' | 'TEST';
  readonly level?: number;
  readonly stages?: readonly string[];
  /** Layers without weights, and weights without a layer, are errors. Default false. */
  readonly strict?: boolean;
  /** Run the fusing passes. Default: in phase TEST; false (and phase TRAIN) runs layer by layer as written. */
  readonly optimize?: boolean;
}

/**
 * Opens a device.
 * @param kind `cpu` (oneDNN) or `reference` (naive loops, the definition of right).
 * @throws DeviceError `device/unavailable` with what was tried; never falls back to another device.
 */
export async function openDevice(
  kind: 'cpu' | 'reference' = 'cpu',
  options: DeviceOptions = {},
): Promise<Device> {
  if (kind !== 'cpu' && kind !== 'reference') throw new ArgumentError('kind', '"cpu" or "reference"', kind);
  const threads = options.threads ?? availableParallelism();
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024)
    throw new ArgumentError('threads', 'an integer from 1 to 1024', threads);
  const { binding, folder } = loadBinding();
  try {
    return new Device(binding.openDevice(kind, { threads, libraryFolder: folder }));
  } catch (error) {
    throw convertError(error, kind);
  }
}

export class Device {
  readonly kind: string;
  /** What it is: threads, library versions, instruction set. */
  readonly description: Readonly<Record<string, string | number>>;
  readonly #native: NativeDevice;

  /** Use `openDevice`. */
  constructor(native: NativeDevice) {
    this.#native = native;
    this.kind = native.kind;
    this.description = native.description;
  }

  /**
   * Reads a net and its weights, compiles it and takes its memory.
   * @throws PrototxtError, GraphError, WeightsError, DeviceError
   */
  async load(options: LoadOptions): Promise<Model> {
    const net = filterNet(
      typeof options.model === 'string'
        ? readNet(readText(options.model), { file: options.model })
        : options.model,
      options,
    );
    const full = graphFromCaffe(net, options);
    const asked = options.outputs === undefined ? full : withOutputs(full, options.outputs);
    const graph = (options.optimize ?? options.phase !== 'TRAIN') ? runPasses(asked) : asked;
    const { program, recipes } = lower(graph);
    const weights =
      typeof options.weights === 'string'
        ? readCaffemodel(this.#map(options.weights), { file: options.weights })
        : options.weights;
    const { blobs, report } = matchWeights(
      full.parameters,
      weights ?? { file: '', name: '', layers: [] },
      options,
    );
    const random = seededRandom(1);
    const filled = new Map<number, Uint8Array>();
    const data = packWeights(recipes, (id) => {
      const blob = blobs[id];
      if (blob != null) return blob;
      const { filler, shape } = full.parameters[id]!;
      if (!filled.has(id)) filled.set(id, new Uint8Array(fill(filler, shape, random).buffer));
      return { bytes: filled.get(id)!, dtype: 'float32' };
    });
    try {
      const plan = await this.#native.prepare(program);
      const memory = planMemory(plan.buffers);
      const parameters = await this.#native.createParameters(program, data);
      const executable = await this.#native.compile(plan, parameters, memory.offsets, memory.bytes);
      const names = options.outputs ?? full.outputs.map((id) => full.values[id]!.blob);
      return new Model({
        device: this.kind,
        graph,
        program,
        names,
        report,
        plan,
        memory,
        parameters,
        executable,
        net,
      });
    } catch (error) {
      throw convertError(error, this.kind);
    }
  }

  /** Bytes now held by the models of this device. */
  memory(): NativeMemory {
    return this.#native.memory();
  }

  /** Closes the device behind the work already queued; models loaded on it reject from then on. */
  dispose(): void {
    this.#native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #map(path: string): Uint8Array {
    try {
      return new Uint8Array(loadBinding().binding.mapFile(path));
    } catch (error) {
      throw new WeightsError(
        'weights/not-found',
        { file: path },
        'cannot be read; give the path of a .caffemodel',
        { cause: error },
      );
    }
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ArgumentError(
      'model',
      'the path of a readable prototxt',
      `${path} (${(error as NodeJS.ErrnoException).code})`,
    );
  }
}
