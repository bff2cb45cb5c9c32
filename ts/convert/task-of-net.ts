/** What a net does with images, recognised by its layers as `openDetector` and `openSegmenter` do. */
import { GraphError } from '../base/errors.ts';
import { elementCount } from '../base/shape.ts';
import type { ModelTask } from '../caffe/model-folder.ts';
import { filterNet, type NetParameter } from '../caffe/net-parameter.ts';
import { graphFromCaffe } from '../graph/from-caffe.ts';
import { findDetectorHead } from '../images/detect/head.ts';
import { findSegmenterHead } from '../images/segment/head.ts';

export interface TaskOfNet {
  readonly task: ModelTask;
  /** The number of names that a classifier needs; null for the other tasks, whose background may have a name or none. */
  readonly classes: number | null;
}

/** @throws GraphError if the net cannot be built */
export function taskOfNet(deploy: NetParameter): TaskOfNet {
  const net = filterNet(deploy, { phase: 'TEST' });
  const graph = graphFromCaffe(net);
  const has = (find: typeof findDetectorHead | typeof findSegmenterHead): boolean => {
    try {
      find(net, graph);
      return true;
    } catch (error) {
      if (error instanceof GraphError) return false;
      throw error;
    }
  };
  if (has(findDetectorHead)) return { task: 'detect', classes: null };
  if (has(findSegmenterHead)) return { task: 'segment', classes: null };
  const last = graph.outputs.at(-1);
  return {
    task: 'classify',
    classes: last === undefined ? null : elementCount(graph.values[last]!.shape.slice(1)),
  };
}
