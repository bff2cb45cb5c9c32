/** DeviceBuffers on devices that compute in main memory; test/cuda runs the same cases on the emulated GPU. */
import { test } from 'uvu';
import { openDevice } from '../../ts/index.ts';
import { testBuffers } from '../support/buffer-cases.ts';

for (const kind of ['reference', 'cpu'] as const) testBuffers(kind, () => openDevice(kind));
test.run();
