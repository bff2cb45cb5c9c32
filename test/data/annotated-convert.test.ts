/** Annotations of VOC, COCO and SSD's lists → an LMDB that an AnnotatedData layer reads, with the same boxes. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ResnodeError } from '../../ts/base/errors.ts';
import { readNet } from '../../ts/caffe/net-parameter.ts';
import { type Annotation, readAnnotatedDatum } from '../../ts/data/annotated-datum.ts';
import { convertAnnotatedImages } from '../../ts/data/convert-annotated.ts';
import { openLmdb } from '../../ts/data/lmdb.ts';
import { openDataLayer } from '../../ts/data/open-data-layer.ts';
import { readAnnotatedImages } from '../../ts/images/evaluate/boxes/annotated-images.ts';
import { COMMAND } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'resnode-annotated-'));
test.after(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const resnode = (...words: string[]) =>
  spawnSync(process.execPath, [...COMMAND, 'dataset', 'annotated', ...words], {
    encoding: 'utf8',
    cwd: folder,
  });

// Two pictures, 40×20 and 20×20 (width × height).
mkdirSync(path('voc/JPEGImages'), { recursive: true });
mkdirSync(path('voc/Annotations'));
for (const [name, width] of [
  ['a', 40],
  ['b', 20],
] as const)
  for (const ending of ['jpg', 'png'])
    await sharp({ create: { width, height: 20, channels: 3, background: '#102030' } }).toFile(
      path(`voc/JPEGImages/${name}.${ending}`),
    );
const object = (name: string, [x1, y1, x2, y2]: readonly number[], difficult = 0) =>
  `<object><name>${name}</name><difficult>${difficult}</difficult><bndbox><xmin>${x1}</xmin><ymin>${y1}</ymin><xmax>${x2}</xmax><ymax>${y2}</ymax></bndbox></object>`;
writeFileSync(
  path('voc/Annotations/a.xml'),
  `<annotation><filename>a.jpg</filename><size><width>40</width><height>20</height></size>${object('cat', [1, 1, 20, 10])}${object('dog', [21, 11, 40, 20], 1)}${object('cat', [5, 5, 10, 10])}</annotation>`,
);
writeFileSync(path('voc/Annotations/b.xml'), '<annotation></annotation>');
writeFileSync(
  path('labelmap.prototxt'),
  `item { name: "none_of_the_above" label: 0 display_name: "background" }
item { name: "17" label: 1 display_name: "cat" }
item { name: "dog" label: 2 display_name: "Dog" }`,
);

const float = (value: number) => Math.fround(value);
/** As SSD writes them: VOC's corners, which count from 1, divided by the image's sides. */
const EXPECTED: Annotation[] = [
  { label: 1, instance: 0, difficult: false, xmin: float(1 / 40), ymin: float(1 / 20), xmax: 0.5, ymax: 0.5 },
  { label: 1, instance: 1, difficult: false, xmin: 0.125, ymin: 0.25, xmax: 0.25, ymax: 0.5 },
  { label: 2, instance: 0, difficult: true, xmin: float(21 / 40), ymin: float(11 / 20), xmax: 1, ymax: 1 },
];
function records(name: string) {
  const database = openLmdb(path(name));
  try {
    return Array.from({ length: database.count }, (_, i) => {
      const { key, value } = database.at(i);
      const { datum, annotations } = readAnnotatedDatum(value, { file: name, key: key.toString() });
      return { key: key.toString(), datum: { ...datum, data: datum.data.length }, annotations };
    });
  } finally {
    database.close();
  }
}
const sorted = (annotations: readonly Annotation[] | null) =>
  [...annotations!].sort((a, b) => a.label - b.label || a.instance - b.instance);

test("a folder of VOC annotations becomes AnnotatedDatums with SSD's keys, boxes and instances, and the images", () => {
  const { status, stderr, stdout } = resnode(
    'voc/Annotations',
    '--labels',
    'labelmap.prototxt',
    '--out',
    'voc.lmdb',
  );
  assert.is(status, 0, stderr);
  assert.is(stdout, 'voc.lmdb: 2 images, 3 boxes\n');
  const [a, b] = records('voc.lmdb');
  assert.equal([a!.key, b!.key], ['00000000_a.jpg', '00000001_b.jpg']);
  assert.equal(sorted(a!.annotations), EXPECTED);
  assert.equal(b!.annotations, [], 'no objects, but of detection');
  const { channels, height, width, encoded, label } = a!.datum;
  assert.equal([channels, height, width, encoded, label], [3, 20, 40, false, -1]);
});

test('an AnnotatedData layer reads the same boxes, also for resized and encoded images', async () => {
  const { status, stderr } = resnode(
    ...['voc/Annotations', '--labels', 'labelmap.prototxt', '--out', 'small.lmdb'],
    ...['--resize', '10x10', '--encoded', '--encode-type', 'png'],
  );
  assert.is(status, 0, stderr);
  assert.ok(records('small.lmdb').every(({ datum }) => datum.encoded));
  const layer = `layer { name: "d" type: "AnnotatedData" top: "data" top: "label" data_param { source: "${path('small.lmdb')}" batch_size: 2 backend: LMDB }
    annotated_data_param { label_map_file: "labelmap.prototxt" } }`;
  const source = await openDataLayer(readNet(layer, { file: 'n' }).layer![0]!, { phase: 'TEST', workers: 1 });
  const { label } = await source.next();
  await source.dispose();
  assert.equal(source.shapes.data, [2, 3, 10, 10]);
  const rows = Array.from({ length: label!.length / 8 }, (_, i) => [...label!.subarray(8 * i, 8 * i + 8)]);
  assert.equal(
    rows.filter(([image]) => image !== -1).sort((a, b) => a[1]! - b[1]! || a[2]! - b[2]!),
    EXPECTED.map(({ label: of, instance, xmin, ymin, xmax, ymax, difficult }) => [
      ...[0, of, instance, xmin, ymin, xmax, ymax, Number(difficult)],
    ]),
  );
});

test("COCO's file counts from 0, names classes by its categories, and its crowds are difficult", () => {
  writeFileSync(
    path('coco.json'),
    JSON.stringify({
      images: [{ id: 7, file_name: 'a.png' }],
      categories: [{ id: 3, name: 'cat' }],
      annotations: [{ image_id: 7, category_id: 3, bbox: [10, 5, 20, 10], iscrowd: 1 }],
    }),
  );
  const { status, stderr, stdout } = resnode(
    ...[
      'coco.json',
      '--root',
      'voc/JPEGImages',
      '--labels',
      'labelmap.prototxt',
      '--out',
      'coco.lmdb',
      '--json',
    ],
  );
  assert.is(status, 0, stderr);
  assert.equal(JSON.parse(stdout), { out: 'coco.lmdb', images: 1, boxes: 1 });
  assert.equal(records('coco.lmdb')[0]!.annotations, [
    { label: 1, instance: 0, difficult: true, xmin: 0.25, ymin: 0.25, xmax: 0.75, ymax: 0.75 },
  ]);
});

test("a list's annotations are an image's .xml, .json with COCO category numbers, or .txt, and one name per line gives labels", () => {
  writeFileSync(
    path('one.json'),
    JSON.stringify({ image: {}, annotation: [{ category_id: 17, bbox: [4, 4, 8, 8] }] }),
  );
  writeFileSync(path('one.txt'), '2 0 0 10 20\n\n1 10 10 20 20\n');
  writeFileSync(
    path('list.txt'),
    'voc/JPEGImages/a.png voc/Annotations/a.xml\nvoc/JPEGImages/a.png one.json\r\nvoc/JPEGImages/b.png one.txt\n',
  );
  const images = readAnnotatedImages(path('list.txt'), path('labelmap.prototxt'));
  assert.equal(
    images.map(({ name, objects }) => [name, objects.map(({ label, xmin, xmax }) => [label, xmin, xmax])]),
    [
      [
        'voc/JPEGImages/a.png',
        [
          [1, 1, 20],
          [2, 21, 40],
          [1, 5, 10],
        ],
      ],
      ['voc/JPEGImages/a.png', [[1, 4, 12]]],
      [
        'voc/JPEGImages/b.png',
        [
          [2, 0, 10],
          [1, 10, 20],
        ],
      ],
    ],
  );
  writeFileSync(path('names.txt'), 'background\ndog\ncat\n');
  const [first] = readAnnotatedImages(path('voc/Annotations'), path('names.txt'));
  assert.equal(
    first!.objects.map(({ label }) => label),
    [2, 1, 2],
  );
});

test('classes that the label map lacks or calls background, and invalid annotations, are refused with their file', () => {
  const refused = (file: string, labels: string, pattern: RegExp) => {
    try {
      readAnnotatedImages(path(file), path(labels));
    } catch (error) {
      assert.instance(error, ResnodeError, String((error as Error).stack));
      assert.match((error as Error).message, pattern);
      return;
    }
    assert.unreachable(String(pattern));
  };
  writeFileSync(path('few.txt'), 'background\ncats\ndog\n');
  refused('voc/Annotations', 'few.txt', /Annotations.*class "cat", which .*few\.txt lacks.*"cats"/);
  writeFileSync(path('odd.txt'), 'cat\ndog\n');
  refused('voc/Annotations', 'odd.txt', /class "cat", which .*odd\.txt has as 0, the background/);
  refused('voc/Annotations', 'none.txt', /none\.txt"; there is no such file or folder/);
  for (const [line, pattern] of [
    ['voc/JPEGImages/a.png\n', /bad\.txt:1: expected "image annotation".*found "voc\/JPEGImages\/a\.png"/],
    ['a.png none.xml\n', /none\.xml: the annotation does not exist/],
    ['a.png wrong.json\n', /wrong\.json: .*"annotation" is not a list/],
    [
      'a.png wrong.txt\n',
      /wrong\.txt:1: expected "label xmin ymin xmax ymax" with a class of at least 1; found "0 1 1 2 2"/,
    ],
    ['', /the list is empty/],
  ] as const) {
    writeFileSync(path('wrong.json'), '{}');
    writeFileSync(path('wrong.txt'), '0 1 1 2 2\n');
    writeFileSync(path('bad.txt'), line);
    refused('bad.txt', 'labelmap.prototxt', pattern);
  }
});

test('boxes that exceed their image are written as annotated, with a message', () => {
  writeFileSync(path('wide.txt'), '1 -2 0 50 20\n');
  writeFileSync(path('wide-list.txt'), 'voc/JPEGImages/a.png wide.txt\n');
  const { status, stderr } = resnode('wide-list.txt', '--labels', 'labelmap.prototxt', '--out', 'wide.lmdb');
  assert.is(status, 0, stderr);
  assert.match(stderr, /1 box reaches beyond the image, the first in voc\/JPEGImages\/a\.png/);
  const [{ annotations }] = records('wide.lmdb') as [ReturnType<typeof records>[0]];
  assert.equal([annotations![0]!.xmin, annotations![0]!.xmax], [float(-0.05), 1.25]);
});

test('a broken image ends the conversion, or is left out and named, and nothing half-written remains', async () => {
  writeFileSync(path('broken.png'), 'no picture');
  const images = [
    { path: path('broken.png'), name: 'broken.png', objects: [] },
    { path: path('voc/JPEGImages/a.png'), name: 'a.png', objects: [] },
  ];
  const failed = await convertAnnotatedImages(images, path('broken.lmdb')).catch((error: Error) => error);
  assert.match((failed as Error).message, /broken\.png/);
  const broken: string[] = [];
  const onBroken = ({ message }: Error) => broken.push(message);
  assert.is(await convertAnnotatedImages(images, path('broken.lmdb'), { onBroken }), 1);
  assert.is(broken.length, 1);
});

test.run();
