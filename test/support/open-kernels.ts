/** CPU devices on one instruction set each, for those that this processor supports. */
import * as assert from 'uvu/assert';
import { type Device, DeviceError, type DeviceOptions, openDevice } from '../../ts/index.ts';
import { cpuLibrary } from './cpu-library.ts';

/** The instruction sets for which resnode has loops on this architecture, the widest first. */
export const INSTRUCTION_SETS =
  process.arch === 'arm64' ? (['NEON'] as const) : (['AVX-512', 'AVX2'] as const);

export type Kernels = 'AMX' | 'AVX-512' | 'AVX2' | 'NEON' | 'oneDNN';

/** Whether AMX multiplies int8 and bfloat16: so fast that Winograd's transforms would take longer. */
export const hasMatrices = ({ description }: Device): boolean => String(description.kernels).includes('AMX');

/** Null, with a message, if this processor lacks the instructions. */
export async function openKernels(kernels: Kernels, options: DeviceOptions): Promise<Device | null> {
  try {
    return await openDevice('cpu', { kernels, ...options, ...cpuLibrary });
  } catch (error) {
    assert.instance(error, DeviceError);
    assert.match((error as Error).message, kernels);
    console.log(`skipped: ${(error as Error).message}`);
    return null;
  }
}

/** Every instruction set, each with several numbers of threads. */
export async function openAllKernels(options: DeviceOptions = {}): Promise<readonly Device[]> {
  const onTwo = INSTRUCTION_SETS.map((kernels) => [kernels, 2] as const);
  const all = [
    ...onTwo,
    [INSTRUCTION_SETS[0], 1],
    [INSTRUCTION_SETS.at(-1)!, 3],
    [INSTRUCTION_SETS[0], 4],
    ...(process.arch === 'arm64' ? [] : ([1, 2, 3] as const).map((threads) => ['AMX', threads] as const)),
  ] as const;
  const opened = await Promise.all(
    all.map(([kernels, threads]) => openKernels(kernels, { ...options, threads })),
  );
  return opened.filter((each) => each !== null);
}
