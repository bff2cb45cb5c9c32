/** Rounds as numpy and OpenCV do: halves go to the even neighbour. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Rounds as C's round() does: halves go away from 0. */
export const roundAway = (value: number): number => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);

export const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));
