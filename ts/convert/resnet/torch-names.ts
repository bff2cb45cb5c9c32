/**
 * Finds the tensors of a ResNet by torchvision's names, even if they have a prefix in the file or transformers' names.
 */
import { WeightsError } from '../../base/errors.ts';
import type { SourceTensors } from '../source-tensor.ts';

export interface NamedTensors {
  readonly tensors: SourceTensors;
  /** The name in the file of a tensor with one of torchvision's names, for errors. */
  readonly fileName: (name: string) => string;
}

/** @throws WeightsError that names the first missing tensor, or the tensors that the file has instead */
export function namedAsTorchvision(tensors: SourceTensors, file: string): NamedTensors {
  return fromTransformers(tensors) ?? withoutPrefix(tensors, file);
}

// transformers/models/resnet/modeling_resnet.py: `resnet.` is absent if ResNetModel was saved alone.
const EMBEDDER = 'embedder.embedder.convolution.weight';

function fromTransformers(tensors: SourceTensors): NamedTensors | null {
  const first = [...tensors.keys()].find((name) => name.endsWith(EMBEDDER));
  if (first === undefined) return null;
  const prefix = first.slice(0, -EMBEDDER.length);
  const classifier = `${prefix.replace(/resnet\.$/, '')}classifier.1.`;
  const rename = (name: string): string => {
    if (name.startsWith(classifier)) return `fc.${name.slice(classifier.length)}`;
    if (!name.startsWith(prefix)) return name;
    return name
      .slice(prefix.length)
      .replace(/^embedder\.embedder\.convolution\./, 'conv1.')
      .replace(/^embedder\.embedder\.normalization\./, 'bn1.')
      .replace(
        /^encoder\.stages\.(\d+)\.layers\.(\d+)\./,
        (_, stage, block) => `layer${Number(stage) + 1}.${block}.`,
      )
      .replace(/\.shortcut\.convolution\./, '.downsample.0.')
      .replace(/\.shortcut\.normalization\./, '.downsample.1.')
      .replace(/\.layer\.(\d+)\.convolution\./, (_, index) => `.conv${Number(index) + 1}.`)
      .replace(/\.layer\.(\d+)\.normalization\./, (_, index) => `.bn${Number(index) + 1}.`);
  };
  const fileName = (name: string): string =>
    name.startsWith('fc.')
      ? classifier + name.slice(3)
      : prefix +
        name
          .replace(/^conv1\./, 'embedder.embedder.convolution.')
          .replace(/^bn1\./, 'embedder.embedder.normalization.')
          .replace(
            /^layer(\d+)\.(\d+)\./,
            (_, stage, block) => `encoder.stages.${stage - 1}.layers.${block}.`,
          )
          .replace(/\.downsample\.0\./, '.shortcut.convolution.')
          .replace(/\.downsample\.1\./, '.shortcut.normalization.')
          .replace(/\.conv(\d+)\./, (_, number) => `.layer.${number - 1}.convolution.`)
          .replace(/\.bn(\d+)\./, (_, number) => `.layer.${number - 1}.normalization.`);
  return { tensors: new Map([...tensors].map(([name, tensor]) => [rename(name), tensor])), fileName };
}

const FIRST = ['conv1.weight', 'bn1.weight', 'layer1.0.conv1.weight'];
const IS_COUNTER = /^total_(?:ops|params)$/;

// DataParallel, Lightning and others add the model's own name before each of its tensors.
function withoutPrefix(tensors: SourceTensors, file: string): NamedTensors {
  const fail = (message: string): never => {
    throw new WeightsError('convert/resnet', { file }, message);
  };
  const names = [...tensors.keys()];
  const prefixesBy = (suffix: string): string[] =>
    names
      .filter((name) => name === suffix || name.endsWith(`.${suffix}`))
      .map((name) => name.slice(0, -suffix.length));
  const [prefix, other] = prefixesBy('conv1.weight').filter((each) =>
    FIRST.every((name) => tensors.has(each + name)),
  );
  if (prefix === undefined) {
    const near = [...prefixesBy('layer1.0.conv1.weight'), ...prefixesBy('bn1.weight')].sort(
      (a, b) => a.length - b.length,
    )[0];
    const missing = FIRST.find((name) => near !== undefined && !tensors.has(near + name));
    if (missing !== undefined && names.some((name) => name.startsWith(`${near}layer2.`)))
      return fail(
        `"${near}${missing}" is missing: its names are those of a ResNet of torchvision or timm, but some are missing`,
      );
    return fail(
      `its tensors are not named as a ResNet of torchvision, timm or transformers (conv1.weight, bn1.weight, layer1.0.conv1.weight, …) but ${
        names
          .slice(0, 3)
          .map((name) => `"${name}"`)
          .join(', ') || 'there are none'
      }; export another net as ONNX and convert that`,
    );
  }
  if (other !== undefined)
    fail(`it holds two ResNets, "${prefix}…" and "${other}…"; save the state dict of one of them`);
  const outside = names.find((name) => !name.startsWith(prefix) && !IS_COUNTER.test(name));
  if (outside !== undefined)
    fail(`beside the ResNet "${prefix}…" it holds "${outside}"; save only the state dict of the ResNet`);
  return {
    tensors: new Map(
      [...tensors].map(([name, tensor]) => [
        name.startsWith(prefix) ? name.slice(prefix.length) : name,
        tensor,
      ]),
    ),
    fileName: (name) => prefix + name,
  };
}
