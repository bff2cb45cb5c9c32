/** Annotated objects: PASCAL VOC's XML and COCO's JSON, and errors in them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readAnnotations } from '../../../ts/api/images.ts';
import { DataError } from '../../../ts/index.ts';

const root = mkdtempSync(join(tmpdir(), 'resnode-annotations-'));
test.after(() => rmSync(root, { recursive: true }));
const write = (name: string, content: string | object): string => {
  const path = join(root, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const refusal = (name: string, content: string | object): Error => {
  try {
    readAnnotations(write(name, content));
  } catch (error) {
    return error as Error;
  }
  return assert.unreachable(`${name} was read`) as never;
};

const VOC = `<?xml version="1.0"?>
<!DOCTYPE annotation>
<annotation verified="yes">
  <folder>VOC2007</folder><filename>JPEGImages/000007.jpg</filename>
  <!-- <object><name>no</name></object> -->
  <size><width>500</width><height>333</height></size>
  <object>
    <name>person</name><difficult>0</difficult>
    <bndbox><xmin>1</xmin><ymin>2.0</ymin><xmax>500</xmax><ymax>2</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>19</xmax><ymax>19</ymax></bndbox></part>
  </object>
  <object><bndbox><xmax>20</xmax><ymax>30</ymax><xmin>11</xmin><ymin>21</ymin></bndbox><difficult>1</difficult><name>cat &amp; <![CDATA[dog]]></name><pose/></object>
</annotation>`;

test("VOC's corners are pixels counted from 1, both inside the box; parts are not objects", () => {
  mkdirSync(join(root, 'Annotations'));
  write('Annotations/000007.xml', VOC);
  write('Annotations/000003.xml', '\uFEFF<annotation><filename></filename></annotation>');
  assert.equal(readAnnotations(join(root, 'Annotations')), [
    { name: '000003', objects: [], annotations: join(root, 'Annotations/000003.xml') },
    {
      name: '000007.jpg',
      objects: [
        { label: 'person', box: { x: 0, y: 1, width: 500, height: 1 }, isDifficult: false },
        { label: 'cat & dog', box: { x: 10, y: 20, width: 10, height: 10 }, isDifficult: true },
      ],
      annotations: join(root, 'Annotations/000007.xml'),
    },
  ]);
});

const COCO = {
  images: [
    { id: 9, file_name: 'a.jpg' },
    { id: 4, file_name: 'val/b.jpg' },
  ],
  categories: [{ id: 18, name: 'dog' }],
  annotations: [
    { id: 1, image_id: 4, category_id: 18, bbox: [1.5, 2, 3, 4], area: 7, iscrowd: 1 },
    { id: 2, image_id: 4, category_id: 18, bbox: [0, 0, 9, 9] },
  ],
};

test("COCO's boxes belong to images and categories by their ids; images without any are included", () => {
  const annotations = write('coco.json', COCO);
  assert.equal(readAnnotations(annotations), [
    { name: 'a.jpg', objects: [], annotations },
    {
      name: 'val/b.jpg',
      objects: [
        { label: 'dog', box: { x: 1.5, y: 2, width: 3, height: 4 }, area: 7, isCrowd: true },
        { label: 'dog', box: { x: 0, y: 0, width: 9, height: 9 }, isCrowd: false },
      ],
      annotations,
    },
  ]);
});

test('an invalid annotation is refused with its file and the error', () => {
  const object = (inner: string) => `<annotation><object>${inner}</object></annotation>`;
  const box = '<bndbox><xmin>5</xmin><ymin>1</ymin><xmax>4</xmax><ymax>9</ymax></bndbox>';
  const wrong: readonly (readonly [name: string, content: string | object, says: RegExp])[] = [
    ['a.xml', '<html></html>', /found <html>/],
    ['b.xml', '<annotation><object>', /<object> is not closed/],
    ['c.xml', '<annotation></object>', /<\/object> closes no <object>/],
    ['d.xml', '', /it has no element/],
    ['e.xml', object('<name>a</name>'), /object 1 has no <bndbox>/],
    ['f.xml', object(box), /object 1 has no <name>/],
    ['g.xml', object(`<name>a</name>${box}`), /object 1 ends before it begins/],
    ['h.xml', object(`<name>a</name>${box.replace('>4<', '>four<')}`), /no number in <xmax>/],
    ['i.xml', '<a>'.repeat(100), /elements are nested deeper than 64/],
    ['j.json', [], /"images" is not a list/],
    ['k.json', { ...COCO, categories: undefined }, /"categories" is not a list/],
    [
      'l.json',
      { ...COCO, annotations: [{ image_id: 1, category_id: 18, bbox: [0, 0, 1, 1] }] },
      /image_id 1, which is not an image/,
    ],
    [
      'm.json',
      { ...COCO, annotations: [{ image_id: 4, category_id: 1, bbox: [0, 0, 1, 1] }] },
      /category_id 1, which is not a category/,
    ],
    [
      'n.json',
      { ...COCO, annotations: [{ image_id: 4, category_id: 18, bbox: [0, 0, 1] }] },
      /annotations\[0\] has no bbox/,
    ],
    ['o.json', { ...COCO, images: [{ id: 1 }] }, /images\[0\] has no file_name/],
    ['p.json', { ...COCO, images: [COCO.images[0], COCO.images[0]] }, /has the same id 9 as another one/],
    [
      'r.json',
      { ...COCO, images: COCO.images.map((image) => ({ ...image, file_name: 'same.jpg' })) },
      /images\[1\] has the same file_name same\.jpg as another one/,
    ],
    ['q.json', 'no json', /expected annotations of objects, this is text/],
  ];
  for (const [name, content, says] of wrong) {
    const error = refusal(name, content);
    assert.instance(error, DataError, name);
    assert.match(error.message, says);
    assert.ok(error.message.startsWith(join(root, name)), error.message);
  }
  mkdirSync(join(root, 'empty'));
  assert.throws(() => readAnnotations(join(root, 'empty')), /found none in it/);
});

test.run();
