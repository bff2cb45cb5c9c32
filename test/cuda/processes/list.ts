/** Run by list-devices.test.ts: prints the memory of the first GPU. The argument is the folder of the device's library. */
import { devices } from '../../../ts/index.ts';

console.log(JSON.stringify(devices({ libraryFolder: process.argv[2]! }).devices[0]!.memory));
