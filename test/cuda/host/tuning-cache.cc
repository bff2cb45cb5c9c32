#include "native/core/tuning-cache.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "test/cuda/host/main.h"

namespace resnode {
namespace {

using test::expect;
using test::same;

const std::vector<std::string> kMachine{"NVIDIA H200 9.0", "580.1", "9.24.0", "0.1.0"};

std::string winnerOf(const TuningCache& cache, const std::string& key) {
  const auto winner = cache.find(key);
  return winner ? winner->name : "none";
}

std::string fileIn(const test::TemporaryFolder& folder) { return TuningCache(folder.path, kMachine).path(); }

RESNODE_TEST(cache, "a winner is found at once, and again by the next process") {
  const test::TemporaryFolder folder;
  {
    TuningCache cache(folder.path + "/new/deep", kMachine);
    same(cache.note(), "", "note");
    cache.store("3x3", {"mma-128x64", 12.5});
    same(winnerOf(cache, "3x3"), "mma-128x64", "before saving");
  }
  const TuningCache again(folder.path + "/new/deep", kMachine);
  same(winnerOf(again, "3x3"), "mma-128x64", "after saving");
  expect(again.find("3x3")->microseconds == 12.5, "its time");
  same(winnerOf(again, "1x1"), "none", "another problem");
}

RESNODE_TEST(cache, "another GPU, driver, cuDNN or version of ours finds nothing") {
  const test::TemporaryFolder folder;
  TuningCache(folder.path, kMachine).store("3x3", {"direct", 1});
  for (size_t i = 0; i < kMachine.size(); ++i) {
    std::vector<std::string> other = kMachine;
    other[i] += "1";
    same(winnerOf(TuningCache(folder.path, other), "3x3"), "none", other[i]);
  }
  same(winnerOf(TuningCache(folder.path, kMachine), "3x3"), "direct", "the same machine");
}

RESNODE_TEST(cache, "fields cannot run into each other") {
  const test::TemporaryFolder folder;
  TuningCache(folder.path, {"a\tb", "c", "d", "e"}).store("k\ney", {"na\tme\n", 1});
  same(winnerOf(TuningCache(folder.path, {"a\tb", "c", "d", "e"}), "k\ney"), "na me ", "itself");
  same(winnerOf(TuningCache(folder.path, {"a", "b\tc", "d", "e"}), "k\ney"), "none", "shifted");
}

RESNODE_TEST(cache, "any damage to the file costs only the damaged lines") {
  const test::TemporaryFolder folder;
  {
    TuningCache cache(folder.path, kMachine);
    for (int i = 0; i < 3; ++i) cache.store("key" + std::to_string(i), {"winner" + std::to_string(i), i + 1.0});
  }
  const std::string path = fileIn(folder), whole = test::readFile(path);
  // Truncated anywhere, and with one bit flipped anywhere: the result is what was stored, or nothing.
  const auto check = [&](const std::string& text, size_t at) {
    test::writeFile(path, text);
    const TuningCache cache(folder.path, kMachine);
    int found = 0;
    for (int i = 0; i < 3; ++i) {
      const std::string winner = winnerOf(cache, "key" + std::to_string(i));
      expect(winner == "none" || winner == "winner" + std::to_string(i),
             "damage at " + std::to_string(at) + ": " + winner);
      found += winner != "none";
    }
    return found;
  };
  for (size_t i = 0; i < whole.size(); ++i) {
    check(whole.substr(0, i), i);
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    expect(check(flipped, i) >= (whole[i] == '\n' ? 1 : 2), "one flipped bit costs one line, a line's end two");
  }
  expect(check("\t\t\t\n\n\t\n" + whole + std::string(10000, 'x') + "\n" + std::string("\0\xff\x80\n", 4), 0) == 3,
         "rubbish around");
  // Rewritten without the invalid lines.
  {
    TuningCache cache(folder.path, kMachine);
    cache.store("key0", {"winner0", 1});
  }
  const std::string mended = test::readFile(path);
  expect(std::count(mended.begin(), mended.end(), '\n') == 3, "three lines are left: " + mended);
}

RESNODE_TEST(cache, "two processes that write at once both keep their winners") {
  const test::TemporaryFolder folder;
  TuningCache one(folder.path, kMachine), two(folder.path, kMachine);
  one.store("a", {"first", 1});
  two.store("b", {"second", 1});
  one.save();
  two.save();
  same(winnerOf(TuningCache(folder.path, kMachine), "a"), "first", "one's");
  same(winnerOf(TuningCache(folder.path, kMachine), "b"), "second", "two's");
}

RESNODE_TEST(cache, "eight processes that write at once all keep their winners, and leave no other files") {
  const test::TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int child = 0; child < 8; ++child) {
    const pid_t pid = fork();
    if (pid == 0) {
      for (int i = 0; i < 20; ++i) {
        TuningCache cache(folder.path, kMachine);
        cache.store("key-" + std::to_string(child) + "-" + std::to_string(i), {"w", 1});
      }
      _exit(0);
    }
    children.push_back(pid);
  }
  for (pid_t pid : children) waitpid(pid, nullptr, 0);
  const TuningCache cache(folder.path, kMachine);
  for (int child = 0; child < 8; ++child) {
    for (int i = 0; i < 20; ++i)
      same(winnerOf(cache, "key-" + std::to_string(child) + "-" + std::to_string(i)), "w", "kept");
  }
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path)) ++files;
  expect(files == 2, "the cache and its lock, not " + std::to_string(files));
}

RESNODE_TEST(cache, "the oldest lines go when it is full") {
  const test::TemporaryFolder folder;
  for (int i = 0; i < 5; ++i) TuningCache(folder.path, kMachine, 3).store("key" + std::to_string(i), {"w", 1});
  const TuningCache cache(folder.path, kMachine, 3);
  for (int i = 0; i < 5; ++i)
    same(winnerOf(cache, "key" + std::to_string(i)), i < 2 ? "none" : "w", "key" + std::to_string(i));
}

RESNODE_TEST(cache, "if nothing can be written there is no cache, and it says so once") {
  const test::TemporaryFolder folder;
  test::writeFile(folder.path + "/file", "not a folder");
  TuningCache cache(folder.path + "/file", kMachine);
  expect(cache.path().empty() && cache.note().find(folder.path + "/file") != std::string::npos,
         "note: " + cache.note());
  cache.store("3x3", {"direct", 1});
  cache.save();
  same(winnerOf(cache, "3x3"), "direct", "still remembered by this one");

  std::filesystem::create_directory(folder.path + "/taken");
  TuningCache taken(folder.path + "/taken", kMachine);
  std::filesystem::create_directory(taken.path());  // a folder where the file should be
  taken.store("3x3", {"direct", 1});
  taken.save();
  expect(taken.note().find("could not be saved") != std::string::npos, "note: " + taken.note());
}

RESNODE_TEST(cache, "the user's folder: XDG_CACHE_HOME if it is absolute, else ~/.cache, else none") {
  const std::string home = getenv("HOME") ? getenv("HOME") : "",
                    xdg = getenv("XDG_CACHE_HOME") ? getenv("XDG_CACHE_HOME") : "";
  setenv("HOME", "/home/u", 1);
  setenv("XDG_CACHE_HOME", "/x", 1);
  const std::string absolute = userCacheFolder();
  setenv("XDG_CACHE_HOME", "x", 1);
  const std::string relative = userCacheFolder();
  unsetenv("XDG_CACHE_HOME");
  setenv("HOME", "", 1);
  const std::string none = userCacheFolder();
  setenv("HOME", home.c_str(), 1);
  if (!xdg.empty()) setenv("XDG_CACHE_HOME", xdg.c_str(), 1);
  same(absolute, "/x/resnode", "XDG_CACHE_HOME");
  same(relative, "/home/u/.cache/resnode", "a relative XDG_CACHE_HOME");
  same(none, "", "neither");
}

}  // namespace
}  // namespace resnode
