/** Shapes: the dimensions of blobs and tensors, and their numbers of values. */

/** The dimensions of a blob: N×C×H×W, or fewer. */
export type Shape = readonly number[];

/** Shapes by the names of blobs. */
export type Shapes = Readonly<Record<string, Shape>>;

/** The number of values of a shape; 1 for a scalar. */
export const elementCount = (shape: Shape): number => shape.reduce((product, dim) => product * dim, 1);

export const showShape = (shape: Shape): string => (shape.length === 0 ? 'a scalar' : shape.join('×'));
