// What won on this machine, kept between processes: one text file, a line a winner. Anything may happen to the file (cut
// short, edited, another process writing): a line that does not prove itself is ignored and gone at the next save.
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

  // folder: empty for the user's ($XDG_CACHE_HOME/resnode or ~/.cache/resnode). Reads what is there; never throws.
  // machine: all that a winner depends on besides the problem: a processor's name, drivers, versions. Any text.
  TuningCache(std::string folder, const std::vector<std::string>& machine, size_t maxLines = 20000);
  // Saves.
  ~TuningCache();
  TuningCache(const TuningCache&) = delete;
  TuningCache& operator=(const TuningCache&) = delete;

  // key: the problem, and what else was asked.
  std::optional<Winner> find(const std::string& key) const;
  void store(const std::string& key, Winner winner);
  // Writes what was stored since, merged with what others wrote meanwhile, as a whole or not at all. Never throws.
  void save();

  const std::string& path() const { return path_; }  // empty: no cache
  const std::string& note() const { return note_; }  // why there is none, or could not be written; empty: all is well

 private:
  struct Line {
    std::string text;  // as in the file: the winner and its proof
    size_t age = 0;    // grows; the oldest go first
  };
  using Lines = std::map<std::string, Line>;  // by machine and key

  // age: of the next line.
  Lines read(size_t& age) const;
  void removeLeftovers() const;

  std::string path_, note_, machine_;
  size_t maxLines_;
  Lines lines_;                          // all machines'
  std::map<std::string, Winner> fresh_;  // stored and not saved
};

// Of a file's text: all its lines, and those that do not prove themselves.
struct TuningCacheLines {
  size_t all = 0, damaged = 0;
};
TuningCacheLines countLines(std::string_view text);

// Empty where neither XDG_CACHE_HOME nor HOME is an absolute path.
std::string userCacheFolder();

}  // namespace resnode
