/** Run by data-parallel.test.ts: prints how many of 1000 values each number of processes keeps. */
import { readNet } from '../../../ts/caffe/net-parameter.ts';
import { openCommunicator } from '../../../ts/device/communicator.ts';
import { openDevice } from '../../../ts/device/device.ts';

const model = readNet(
  `layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1000 } } }
   layer { name: "drop" type: "Dropout" bottom: "data" top: "drop" }`,
  { file: 'net' },
);
const communicator = await openCommunicator();
const device = await openDevice('reference', { communicator });
const trainer = await device.train({ model, update: null });
const { outputs } = await trainer.gradients({ data: new Float32Array(1000).fill(1) });
const keepers = await communicator.sum(outputs.drop!.data.map((value) => (value === 0 ? 0 : 1)));
const counts = Array.from({ length: communicator.size + 1 }, (_, n) => keepers.filter((k) => k === n).length);
if (communicator.rank === 0) console.log(JSON.stringify(counts));
trainer.dispose();
device.dispose();
await communicator.finish();
