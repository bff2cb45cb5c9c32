/**
 * V8 flags for processes that live for about a second, or as long as a compiler. They precede Node's other arguments.
 */

const [major] = process.versions.node.split('.');

/**
 * V8 optimises a function after fifteen times as much work as by default. Most test processes live for less than a
 * second and do not profit from optimisation, which takes a sixth of their time. Node exits at an unknown V8 flag, and
 * Node 22 and later no longer have this one.
 * @type {readonly string[]}
 */
export const LATER = major === '20' ? ['--interrupt-budget=1000000'] : [];

/**
 * Fewer and larger garbage collections, because a compiler keeps what it makes from its sources.
 * @type {readonly string[]}
 */
export const FEWER_COLLECTIONS = ['--min-semi-space-size=16', '--max-semi-space-size=64'];
