/** PASCAL VOC's colours of classes (VOCcode/VOClabelcolormap.m): class 0 is black. */
export function classColour(index: number): readonly [red: number, green: number, blue: number] {
  const colour: [number, number, number] = [0, 0, 0];
  for (let bit = 7, rest = index; rest > 0; bit--, rest >>= 3)
    for (let c = 0; c < 3; c++) colour[c]! |= ((rest >> c) & 1) << bit;
  return colour;
}

/** The colour in CSS. */
export const cssColour = (index: number): string => `rgb(${classColour(index).join(',')})`;
