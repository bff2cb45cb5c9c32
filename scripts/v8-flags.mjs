/** What V8 is told where a process lives for a second, or for a compiler's: flags before Node's other arguments. */

const [major] = process.versions.node.split('.');

/**
 * V8's optimising compiler takes a function after fifteen times as much work as it usually waits for. Most processes of tests
 * live for less than a second and do not earn back what it takes: a sixth of their time. Node ends where its V8 does not know a
 * flag, and that of Node 22 and later has lost this one.
 * @type {readonly string[]}
 */
export const LATER = major === '20' ? ['--interrupt-budget=1000000'] : [];

/**
 * Fewer and larger collections of garbage: what a compiler makes of its sources stays.
 * @type {readonly string[]}
 */
export const FEWER_COLLECTIONS = ['--min-semi-space-size=16', '--max-semi-space-size=64'];
