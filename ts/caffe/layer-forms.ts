/**
 * Confusions between the two forms of a layer: V1's `layers { type: CONVOLUTION blobs_lr: 1 }` and today's V2,
 * `layer { type: "Convolution" param { lr_mult: 1 } }`. Neither accepts the fields of the other.
 */
import { enums, messages } from './schema.ts';
import { v1TypeName } from './upgrade.ts';

const V1_TYPES = Object.keys(enums['V1LayerParameter.LayerType']!);

const IN_V1 = 'but this stands in "layers" (V1)';
const IN_V2 = 'but this stands in "layer" (V2)';
const ALL_V2 = 'write "layer {" for every "layers {" of the file';

/** V1's name of a V2 type in any case; undefined if there is none. */
const v1Name = (type: string): string | undefined =>
  V1_TYPES.find((name) => v1TypeName(name).toLowerCase() === type.toLowerCase());

/**
 * The error in the `type` of a V1 layer; undefined if it is not a name of V2.
 * @param token As written.
 */
export function explainV1Type(token: string): string | undefined {
  const word = token.replace(/^(["'])(.*)\1$/, '$2');
  if (V1_TYPES.includes(word)) return `write type: ${word} without quotes in "layers" (V1)`;
  const name = v1Name(word);
  if (name === undefined && word === token) return undefined;
  const here = name === undefined ? ' (V1 has no such type)' : `, or type: ${name} here`;
  return `type: ${token} is of "layer" (V2), ${IN_V1}: ${ALL_V2}${here}`;
}

/**
 * The error in a `type` without quotes of a V2 layer.
 * @param token As written.
 */
export function explainV2Type(token: string): string | undefined {
  if (V1_TYPES.includes(token))
    return `type: ${token} is of "layers" (V1), ${IN_V2}: write type: "${v1TypeName(token)}"`;
  return /^[A-Za-z]\w*$/.test(token) ? `write it in quotes: type: "${token}"` : undefined;
}

/** The error in a V2 type that is a V1 name in quotes; undefined if it is not one. */
export function explainV1Name(type: string): string | undefined {
  return V1_TYPES.includes(type)
    ? `"${type}" is its name in "layers" (V1), write "${v1TypeName(type)}"`
    : undefined;
}

const V1_FIELDS: Readonly<Record<string, string>> = {
  blobs_lr: 'write param { lr_mult: … } once per blob',
  weight_decay: 'write param { decay_mult: … } once per blob',
  blob_share_mode: 'write param { share_mode: … }',
};

/** The reason why a message lacks a field, if the other form of a layer has it; otherwise undefined. */
export function explainLayerField(type: string, field: string): string | undefined {
  const has = (message: string) => Object.hasOwn(messages[message]!, field);
  if (type === 'LayerParameter' && has('V1LayerParameter'))
    return `it is of "layers" (V1), ${IN_V2}: ${V1_FIELDS[field] ?? 'write the layer in the form of V2'}`;
  if (type === 'V1LayerParameter' && has('LayerParameter'))
    return `it is of "layer" (V2), ${IN_V1}: ${ALL_V2}`;
  return undefined;
}

/** The replacement of V2's `param { … }` in a V1 layer, whose `param` is a name. */
export const explainV1Param = `param { … } is of "layer" (V2), ${IN_V1}: write blobs_lr and weight_decay once per blob, or ${ALL_V2}`;
