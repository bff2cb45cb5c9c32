/** The candidate nearest to a misspelt word, for a hint; its edit distance is at most a third of the length plus one. */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined =>
  nearestFew(word, candidates, 1)[0];

/** The same with the candidates that are as near or, by one edit, less near; up to `most`. */
export function nearestFew(word: string, candidates: Iterable<string>, most = 3): string[] {
  if (word.length > 64) return [];
  let limit = Math.floor(word.length / 3) + 2;
  const near: { readonly candidate: string; readonly distance: number }[] = [];
  for (const candidate of candidates) {
    const edits = editDistance(word.toLowerCase(), candidate.toLowerCase(), limit);
    const contains = word.length > 3 && (candidate.startsWith(word) || candidate.endsWith(word));
    const distance = contains ? Math.min(edits, 1) : edits;
    if (distance < limit) near.push({ candidate, distance });
    limit = Math.min(limit, distance + 2);
  }
  return near
    .filter(({ distance }) => distance < limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ candidate }) => candidate);
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
