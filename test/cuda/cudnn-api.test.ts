/**
 * cuda/cudnn/api.h declares cuDNN's names itself (docs/decisions/0002-cudnn-declared-not-included.md). Here the
 * compiler compares every value, enum and signature with the real header, if one is available (nvidia-header.ts).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';
import { compareWithHeader, declared, includeFolder } from '../support/nvidia-header.ts';

const HEADER = {
  file: 'cudnn_graph.h',
  library: 'cudnn',
  package: 'nvidia-cudnn-cu13',
  cuda: {
    'cuda_runtime_api.h':
      'typedef struct CUstream_st *cudaStream_t;\ntypedef struct CUgraph_st *cudaGraph_t;\n',
    'library_types.h': 'typedef enum { MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL } libraryPropertyType;\n',
  },
};
const api = readFileSync(join(repositoryFolder, 'cuda/cudnn/api.h'), 'utf8');

test('this test finds the declarations, and library.cc loads them', () => {
  const { enumerators, functions } = declared(api);
  assert.ok(enumerators.length > 90, `${enumerators.length} enumerators`);
  const names = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, name]) => name).sort();
  assert.equal(
    enumerators.map(({ name }) => name).sort(),
    names(api, /(?:X\(|^ {2})(CUDNN_\w+)(?:, | = )\d/gm),
  );
  assert.equal(
    functions.map(({ name }) => name).sort(),
    names(
      readFileSync(join(repositoryFolder, 'cuda/cudnn/library.cc'), 'utf8'),
      /loadFunction\(library, "(\w+)"/g,
    ),
  );
});

const include = includeFolder(HEADER);
if (include !== null) {
  const compare = (text: string) => compareWithHeader(declared(text), HEADER, include);
  test("names, values and signatures equal the real header's", () => {
    assert.is(compare(api), '');
  });
  test('the comparison notices a wrong value, enum and signature', () => {
    for (const [right, wrong] of [
      ['CUDNN_DATA_HALF = 2', 'CUDNN_DATA_HALF = 3'],
      ['X(CUDNN_ATTR_TENSOR_STRIDES, 903)', 'X(CUDNN_ATTR_TENSOR_STRIDES, 904)'],
      ['enum cudnnConvolutionMode_t', 'enum cudnnMathType_t'],
      ['(*cudnnSetStream)(cudnnHandle_t,', '(*cudnnSetStream)(cudnnHandle_t*,'],
    ]) {
      assert.ok(api.includes(right!), right);
      assert.match(compare(api.replace(right!, wrong!)), /static assertion failed|static_assert/, wrong);
    }
  });
}

test.run();
