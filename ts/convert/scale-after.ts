/** The pair of BatchNorm and Scale, which is one layer in other frameworks. */
import type { Node } from '../graph/graph.ts';
import { isPrivate, type Uses } from '../passes/rewrite.ts';

/** The Scale after a BatchNorm if no other node reads the value between them; otherwise null. */
export function scaleAfter(uses: Uses, node: Node): Node | null {
  const { operation, outputs } = node;
  if (operation.kind !== 'affine' || operation.affine.length > 1) return null;
  if (operation.affine[0]?.kind !== 'batchNorm' || !isPrivate(uses, outputs[0]!)) return null;
  const [next] = uses.readers.get(outputs[0]!)!;
  const isScale =
    next!.operation.kind === 'affine' &&
    next!.operation.affine.length === 1 &&
    next!.operation.affine[0]!.kind === 'scale';
  return isScale ? next! : null;
}
