/** The form in which schema.ts and the schemas of forks define a field of a message. */

export type FieldDefinition = readonly [
  number: number,
  type: string,
  defaultValue?: number | boolean | string,
];

export type Messages = Readonly<Record<string, Readonly<Record<string, FieldDefinition>>>>;

/**
 * Numbers for fields whose number in the fork's caffe.proto is unknown or belongs to another field. These fields are read
 * only from text. Protocol Buffers reserves the numbers from here on.
 */
export const TEXT_ONLY = 536_000_000;
