#include "native/operations/convolution/cpu-winograd-order.h"

#include <algorithm>

#include "native/cpu/cache-size.h"

namespace resnode::cpu {
namespace {

// The share of a core's own cache for weights, which leaves room for a thread's tiles, and the share for these tiles.
int64_t privateWeights() { return std::max<int64_t>(ownCacheBytes() / 8 * 5, 640 << 10); }
int64_t privateBytes() { return std::max<int64_t>(ownCacheBytes() / 3, 256 << 10); }

}  // namespace

WinogradOrder::WinogradOrder(WinogradTiles tiles, int mostPixels, int mostBlocks, Bytes bytes)
    : tiles_(std::move(tiles)),
      mostPixels_(mostPixels),
      bytes_(bytes),
      blocksPerGroup_(tiles_.resultBlocks() % mostBlocks == 0 ? mostBlocks : 1),
      groups_(tiles_.resultBlocks() / blocksPerGroup_) {}

WinogradOrder::Parts WinogradOrder::privateParts(int threads) const {
  if (weights() * bytes_.weight > privateWeights()) return {0, 0};
  // Every thread gets the same number of parts, several if possible, with enough tiles for the kernels. So all threads
  // end at the same time.
  const int64_t most = mostPixels_, fitting = std::max<int64_t>(privateBytes() / bytesPerTile() / most, 1) * most;
  // Each part reads all weights of its groups, so with large ones there are few parts.
  const bool areLarge = weights() * bytes_.weight > privateWeights() / 2;
  const int64_t fewest = areLarge ? most : std::max<int64_t>(most / 2, 1);
  int64_t parts = std::clamp<int64_t>(tiles_.count() / fewest, 1, int64_t{3} * threads);
  if (parts > threads) parts -= parts % threads;
  parts = std::max(parts, ceiling(tiles_.count(), fitting));
  // With few tiles it takes longest to fetch the weights, so each thread has its own.
  if (areLarge && groups_ % threads == 0 && parts <= int64_t{2} * threads) return {ceiling(parts, threads), threads};
  return {parts, std::min<int64_t>(groups_, ceiling(threads, parts))};
}

int64_t WinogradOrder::firstTile(int64_t part, int64_t parts, int threads) const {
  // Whole tiles of the kernels, unless one thread would then have clearly more of them than the others.
  const int64_t units = ceiling(tiles_.count(), mostPixels_), ofThread = ceiling(units, threads) * mostPixels_;
  const bool areWhole = units >= parts && ofThread * threads * 20 <= tiles_.count() * 21;
  return areWhole ? std::min(units * part / parts * mostPixels_, tiles_.count()) : tiles_.count() * part / parts;
}

int64_t WinogradOrder::mostTiles(int64_t parts, int threads) const {
  int64_t most = 0;
  for (int64_t part = 0; part < parts; ++part)
    most = std::max(most, firstTile(part + 1, parts, threads) - firstTile(part, parts, threads));
  return most;
}

bool WinogradOrder::isPrivate(int threads) const {
  const Parts parts = privateParts(threads);
  return parts.tiles * parts.groups >= threads;
}

int64_t WinogradOrder::tilesAtOnce(int threads) const {
  if (isPrivate(threads)) return mostTiles(privateParts(threads).tiles, threads);
  // The weights are read again for each part.
  return tiles_.sharedTiles(weights() * bytes_.weight / 2, bytesPerTile());
}

std::vector<int64_t> WinogradOrder::firstWeights(int threads) const {
  std::vector<int64_t> first(threads, 0);
  if (isPrivate(threads)) return first;
  const int64_t units = tiles_.transformed() * groups_;
  const int64_t grain = productGrain(std::min(tilesAtOnce(threads), tiles_.count()));
  for (int thread = 0; thread < threads; ++thread)
    first[thread] = std::min(ThreadPool::ownUnits(thread, threads, units, grain).first, units - 1) * weightsPerGroup();
  return first;
}

}  // namespace resnode::cpu
