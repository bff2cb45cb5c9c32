/**
 * cuda/nccl/api.h declares NCCL's names itself. Here the compiler compares every value and signature with the real
 * header, if one is available (nvidia-header.ts).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repositoryFolder } from '../support/golden.ts';
import { compareWithHeader, declared, includeFolder } from '../support/nvidia-header.ts';

const HEADER = {
  file: 'nccl.h',
  library: 'nccl',
  package: 'nvidia-nccl-cu13',
  cuda: {
    'cuda_runtime.h': 'typedef struct CUstream_st *cudaStream_t;\n',
    'cuda_fp16.h': '',
    'cuda_bf16.h': '',
  },
};
const api = readFileSync(join(repositoryFolder, 'cuda/nccl/api.h'), 'utf8');

test('this test finds the declarations, and library.cc loads them', () => {
  const { enumerators, functions } = declared(api);
  assert.is(enumerators.length, [...api.matchAll(/^ {2}nccl\w+ = \d+,$/gm)].length);
  const library = readFileSync(join(repositoryFolder, 'cuda/nccl/library.cc'), 'utf8');
  assert.equal(
    functions.map(({ name }) => name),
    [...library.matchAll(/loadFunction\(library, "(\w+)"/g)].map(([, name]) => name),
  );
});

const include = includeFolder(HEADER);
if (include !== null) {
  const compare = (text: string) => {
    const bytes = /char internal\[(\d+)\]/.exec(text)![1];
    const size = `static_assert(sizeof(ncclUniqueId) == ${bytes} && alignof(ncclUniqueId) == 1, "size");`;
    return compareWithHeader(declared(text), HEADER, include, [size]);
  };
  test("names, values and signatures equal the real header's", () => {
    assert.is(compare(api), '');
  });
  test('the comparison notices a wrong value, size, enum and signature', () => {
    for (const [right, wrong] of [
      ['ncclAvg = 4', 'ncclAvg = 3'],
      ['internal[128]', 'internal[256]'],
      ['enum ncclRedOp_t', 'enum ncclDataType_t'],
      ['(*ncclCommAbort)(ncclComm_t)', '(*ncclCommAbort)(ncclComm_t*)'],
    ]) {
      assert.ok(api.includes(right!), right);
      assert.match(compare(api.replace(right!, wrong!)), /static assertion failed|static_assert/, wrong);
    }
  });
}

test.run();
