// The fastest implementations on this machine, kept between processes in a text file with one line per winner. The file
// may be cut short, edited, or written by another process: a line whose proof does not match is ignored, and disappears
// at the next save.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace resnode {

class TuningCache {
 public:
  struct Winner {
    std::string name;
    double microseconds = 0;
  };

  // Reads the file; never throws. folder: empty for the user's ($XDG_CACHE_HOME/resnode or ~/.cache/resnode). machine:
  // everything besides the problem on which a winner depends (the processor's name, drivers, versions), as any text.
  TuningCache(std::string folder, const std::vector<std::string>& machine, size_t maxLines = 20000);
  // Saves.
  ~TuningCache();
  TuningCache(const TuningCache&) = delete;
  TuningCache& operator=(const TuningCache&) = delete;

  // key: the problem and its options.
  std::optional<Winner> find(const std::string& key) const;
  void store(const std::string& key, Winner winner);
  // Writes the winners stored since, merged with what other processes wrote meanwhile. The file is replaced as a whole
  // or not at all. Never throws.
  void save();

  const std::string& path() const { return path_; }  // empty: no cache
  // why there is no cache, or why it could not be written; empty: no problem
  const std::string& note() const { return note_; }

 private:
  struct Line {
    std::string text;  // as in the file: the winner and its proof
    size_t age = 0;    // grows; the oldest lines are dropped first
  };
  using Lines = std::map<std::string, Line>;  // by machine and key

  // age: set to that of the next line.
  Lines read(size_t& age) const;
  void removeLeftovers() const;

  std::string path_, note_, machine_;
  size_t maxLines_;
  Lines lines_;                          // of all machines
  std::map<std::string, Winner> fresh_;  // stored but not saved
};

// How many lines a file has, and how many of them do not match their proof.
struct TuningCacheLines {
  size_t all = 0, damaged = 0;
};
TuningCacheLines countLines(std::string_view text);

// Empty if neither XDG_CACHE_HOME nor HOME is an absolute path.
std::string userCacheFolder();

}  // namespace resnode
