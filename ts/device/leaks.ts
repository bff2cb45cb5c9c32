/** Warns of native objects that were collected without dispose(). Their memory is freed all the same, but late. */
const registry = new FinalizationRegistry<string>((what) => {
  process.emitWarning(`${what} was collected without dispose(); its memory was held for longer than needed`, {
    code: 'RESNODE_LEAK',
  });
});

/** Watches `object` until `release`. @param what What the warning names, e.g. `model "ResNet-50"`. */
export function watch(object: object, what: string): void {
  registry.register(object, what, object);
}

export function release(object: object): void {
  registry.unregister(object);
}
