/**
 * Programs at the native border, damaged field by field. Programs that native code accepts are run on the reference and
 * the CPU. They are passed in V8's own serialisation, which keeps undefined, NaN and infinities.
 */

import { deserialize, serialize } from 'node:v8';
import { elementCount } from '../../ts/base/shape.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { lower } from '../../ts/compile/lower.ts';
import { differentiate } from '../../ts/gradient/differentiate.ts';
import { fuseForTraining } from '../../ts/gradient/fuse-for-training.ts';
import { shareBetweenProcesses } from '../../ts/gradient/lower-training.ts';
import { graphFromCaffe } from '../../ts/graph/from-caffe.ts';
import type { NativeDevice } from '../../ts/native/binding.ts';
import { convertError } from '../../ts/native/load.ts';
import type { Program } from '../../ts/operations/program.ts';
import { runPasses } from '../../ts/passes/index.ts';
import { noise, openNative, outputArrays } from '../support/run-program.ts';
import { trainingOperations } from '../support/training-operations.ts';
import { Random } from './random.ts';
import { prototxtOf, randomNet, randomTrainingNet } from './random-net.ts';

/** Every kind of operation in nets, small. */
const KINDS = `
  layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 5 dim: 5 } } }
  layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
  layer { name: "lrn" type: "LRN" bottom: "x" top: "lrn" lrn_param { local_size: 3 } }
  layer { name: "drop" type: "Dropout" bottom: "lrn" top: "drop" }
  layer { name: "bn" type: "BatchNorm" bottom: "drop" top: "bn" }
  layer { name: "scale" type: "Scale" bottom: "bn" top: "scale" scale_param { bias_term: true } }
  layer { name: "slice" type: "Slice" bottom: "scale" top: "a" top: "b" }
  layer { name: "prelu" type: "PReLU" bottom: "a" top: "prelu" }
  layer { name: "elu" type: "ELU" bottom: "b" top: "elu" }
  layer { name: "concat" type: "Concat" bottom: "prelu" bottom: "elu" top: "concat" }
  layer { name: "power" type: "Power" bottom: "concat" top: "power" power_param { power: 2 shift: 1 } }
  layer { name: "max" type: "Eltwise" bottom: "power" bottom: "x" top: "max" eltwise_param { operation: MAX } }
  layer { name: "pool" type: "Pooling" bottom: "max" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
  layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }
  layer { name: "fc" type: "InnerProduct" bottom: "flat" top: "fc" inner_product_param { num_output: 3 } }
  layer { name: "tanh" type: "TanH" bottom: "fc" top: "tanh" }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "tanh" bottom: "label" top: "loss" }
  layer { name: "sigmoid" type: "Sigmoid" bottom: "fc" top: "sigmoid" }
  layer { name: "absval" type: "AbsVal" bottom: "fc" top: "absval" }
  layer { name: "euclidean" type: "EuclideanLoss" bottom: "sigmoid" bottom: "absval" top: "euclidean" }
  layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" include { phase: TRAIN } }`;

/** Forward and backward passes, with everything learned. */
function training(prototxt: string, sparesTraffic = false): Program {
  const graph = graphFromCaffe(readNet(prototxt, { file: 'net' }), { phase: 'TRAIN' });
  const { program } = lower(graph, { training: true });
  const forward = sparesTraffic ? fuseForTraining(program, new Set(program.outputs)) : program;
  return differentiate(forward, {
    sparesTraffic,
    seeds: program.outputs,
    parameters: new Set(program.parameters.flatMap(({ mutable }, id) => (mutable ? [id] : []))),
  }).program;
}

/** Small valid programs: random fused nets with their backward passes, and the training operations of every kind. */
export function programSeeds(): Buffer[] {
  const nets = Array.from({ length: 8 }, (_, i) =>
    prototxtOf((i < 4 ? randomNet : randomTrainingNet)(new Random(77 + i))),
  );
  const programs = [
    ...nets.map((prototxt) => lower(runPasses(graphFromCaffe(readNet(prototxt, { file: 'net' })))).program),
    ...[KINDS, ...nets].flatMap((prototxt) => [training(prototxt), training(prototxt, true)]),
    ...trainingOperations.map(({ write }) => {
      const [writer, outputs] = write();
      return shareBetweenProcesses(writer.program(outputs), { synchronisedBatchNorm: true });
    }),
  ];
  return programs.filter((program) => valuesOf(program) < 200_000).map((program) => serialize(program));
}

const valuesOf = ({ tensors, parameters }: Program): number =>
  [...tensors, ...parameters].reduce((sum, { shape }) => sum + elementCount(shape), 0);

const WRONG = [
  -1,
  0,
  1,
  2,
  3,
  7,
  0.5,
  1e-40,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  2 ** 62,
  1e300,
  -(2 ** 31),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  '',
  'sum',
  '__proto__',
  null,
  undefined,
  true,
  {},
  [],
  [1],
  [1, 2, 3],
  { negativeSlope: 0.5 },
];

type Place = readonly [owner: Record<string, unknown>, key: string];

/** Every field and item of a value, recursively. */
function placesIn(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const owner = value as Record<string, unknown>;
  return Object.keys(owner).flatMap((key): Place[] => [[owner, key], ...placesIn(owner[key])]);
}

const CHANGES: readonly ((program: { operations: unknown[] }, place: Place, random: Random) => void)[] = [
  (_, [owner, key], random) => (owner[key] = random.pick(WRONG)),
  (_, [owner, key], random) => (owner[key] = random.pick(WRONG)),
  // Replaces a number by another small one: an id, a size, an axis.
  (program, [owner, key], random) => {
    const numbers = placesIn(program).filter(([of, name]) => typeof of[name] === 'number');
    const [of, name] = typeof owner[key] === 'number' ? ([owner, key] as const) : random.pick(numbers);
    of[name] = random.below(3) === 0 ? random.below(12) : (of[name] as number) + random.pick([-1, 1]);
  },
  // Copies the value of another field with that name.
  (program, [owner, key], random) => {
    const same = placesIn(program).filter(([, name]) => name === key);
    const [other] = random.pick(same);
    owner[key] = structuredClone(other[key]);
  },
  (_, [owner, key]) => (Array.isArray(owner) ? owner.splice(Number(key), 1) : delete owner[key]),
  (_, [owner], random) => (owner[random.pick(['slpoe', 'kernel', 'axis', '0', 'toString'])] = 1),
  ({ operations }, _, random) => operations.splice(random.below(operations.length), 1),
  ({ operations }, _, random) => operations.reverse().splice(0, random.below(2)),
  ({ operations }, _, random) => {
    const [a, b] = [random.below(operations.length), random.below(operations.length)];
    [operations[a], operations[b]] = [operations[b], operations[a]];
  },
];

/** One to three changes. */
export function mutateProgram(bytes: Uint8Array, random: Random): Uint8Array {
  const program = deserialize(bytes);
  for (let left = 1 + random.below(3); left > 0; left--) {
    const places = placesIn(program);
    if (places.length === 0 || !Array.isArray(program.operations) || program.operations.length === 0) break;
    // Mostly in an operation, which has more fields.
    const inside = placesIn(program.operations);
    const place = random.pick(random.below(4) > 0 && inside.length > 0 ? inside : places);
    random.pick(CHANGES)(program, place, random);
  }
  return serialize(program);
}

let devices: readonly NativeDevice[] | undefined;

/** Plans, compiles and runs it on the reference and on the CPU, unless it is refused. */
export async function runMutated(bytes: Uint8Array): Promise<void> {
  const program: Program = deserialize(bytes);
  devices ??= [openNative('reference'), openNative('cpu', { winograd: false })];
  for (const device of devices)
    try {
      await run(device, program);
    } catch (error) {
      throw convertError(error, device.kind);
    }
}

async function run(device: NativeDevice, program: Program): Promise<void> {
  const options = { precision: 'float32', deterministic: false, tune: false, quantization: null } as const;
  const plan = await device.prepare(program, options);
  // Huge accepted programs would only measure memory.
  if (valuesOf(program) > 200_000) return plan.dispose();
  const parameters = await device.createParameters(
    program,
    program.parameters.map(({ shape }, i) => ({
      bytes: new Uint8Array(noise(elementCount(shape), i).buffer),
      dtype: 'float32',
      channelScale: null,
    })),
  );
  const executable = await device.compile(plan, parameters);
  try {
    await executable.run(
      program.inputs.map((id) =>
        noise(elementCount(program.tensors[id]!.shape), id).map(Math.abs).map(Math.round),
      ),
      outputArrays(program),
      true,
      null,
    ).done;
  } finally {
    executable.dispose();
    parameters.dispose();
    plan.dispose();
  }
}
