/** `resnode time`: Caffe's `caffe time`, forward. */
import { Command } from 'commander';
import { median } from '../bench/statistics.ts';
import { elementCount } from '../runtime/tensor.ts';
import {
  type AnyPrecisionFlags,
  anyPrecisionOption,
  type DeviceFlags,
  deviceOptions,
  type GpuFlags,
  gpuOption,
  integer,
  netState,
  openFlagged,
  precisionOf,
  type StateFlags,
  stateOptions,
  withGpu,
} from './options.ts';

interface Flags extends DeviceFlags, GpuFlags, AnyPrecisionFlags, StateFlags {
  model: string;
  weights?: string;
  iterations: number;
  batch?: number;
  json?: boolean;
}

export function time(): Command {
  const command = new Command('time')
    .description('time a net forward: the whole, then each operation in runs of its own')
    .requiredOption('--model <prototxt>', 'the net')
    .option('--weights <caffemodel>', 'its weights (default: fillers)')
    .option('--iterations <n>', 'how many runs', integer(1), 50)
    .option('--batch <n>', 'first dimension of the inputs', integer(1))
    .addOption(gpuOption())
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  resnode time --model ResNet-50-deploy.prototxt --iterations 20');
  return stateOptions(anyPrecisionOption(deviceOptions(command))).action(async (flags: Flags) => {
    await using device = await openFlagged(withGpu(flags));
    await using model = await device.load({
      model: flags.model,
      ...netState(flags),
      ...precisionOf(flags),
      ...(flags.weights === undefined ? {} : { weights: flags.weights }),
      ...(flags.batch === undefined ? {} : { batch: flags.batch }),
    });
    const inputs = Object.fromEntries(
      Object.entries(model.inputs).map(([name, shape]) => [name, new Float32Array(elementCount(shape))]),
    );
    await model.run(inputs);
    const whole: number[] = [];
    for (let i = 0; i < flags.iterations; i++) {
      const start = performance.now();
      await model.run(inputs);
      whole.push(performance.now() - start);
    }
    const runs: { layer: string; milliseconds: number }[][] = [];
    for (let i = 0; i < flags.iterations; i++) runs.push(await model.time(inputs));
    const operations = model.plan().operations.map(({ layer, implementation }, i) => ({
      layer,
      implementation,
      milliseconds: median(runs.map((run) => run[i]!.milliseconds)),
    }));
    const forward = { median: median(whole), minimum: Math.min(...whole), maximum: Math.max(...whole) };
    if (flags.json) {
      console.log(
        JSON.stringify({
          device: device.kind,
          iterations: flags.iterations,
          milliseconds: forward,
          operations,
        }),
      );
      return;
    }
    for (const { layer, milliseconds, implementation } of operations)
      console.log(`${layer.padEnd(28)} ${milliseconds.toFixed(3).padStart(9)} ms  ${implementation}`);
    console.log(
      `forward: median ${forward.median.toFixed(3)} ms (${forward.minimum.toFixed(3)} to ${forward.maximum.toFixed(3)}) over ${whole.length} runs on ${device.kind}`,
    );
  });
}
