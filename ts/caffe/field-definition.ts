/** How schema.ts and the schemas of forks write a field of a message. */

export type FieldDefinition = readonly [
  number: number,
  type: string,
  defaultValue?: number | boolean | string,
];

export type Messages = Readonly<Record<string, Readonly<Record<string, FieldDefinition>>>>;

/**
 * Fields whose numbers in their forks' caffe.proto are not known here, or are other fields': they are read in text alone. Protocol
 * Buffers keeps numbers from here on free of what anybody uses.
 */
export const TEXT_ONLY = 536_000_000;
