#include "native/core/tuning-cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace resnode {
namespace {

namespace fs = std::filesystem;

// The file's name carries the version of its format: another format uses another file.
constexpr const char* kFile = "convolutions-1.txt";
constexpr size_t kMaxLineBytes = 4096, kMaxFileBytes = 64 << 20;

// Tabs separate fields and newlines separate lines, so a field may contain neither.
std::string field(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return text;
}

// FNV-1a. It proves that a line is complete, not who wrote it.
std::string proofOf(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211u;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
  return digits;
}

// A line is "machine (its fields) \t key \t winner \t microseconds \t proof". Empty if its proof does not match.
struct Parsed {
  std::string key;  // includes the machine
  TuningCache::Winner winner;
};
std::optional<Parsed> parse(const std::string& line) {
  const size_t proof = line.rfind('\t');
  if (line.size() > kMaxLineBytes || proof == std::string::npos ||
      line.substr(proof + 1) != proofOf(line.substr(0, proof)))
    return std::nullopt;
  if (proof == 0) return std::nullopt;
  const size_t time = line.rfind('\t', proof - 1);
  if (time == std::string::npos || time == 0) return std::nullopt;
  const size_t name = line.rfind('\t', time - 1);
  if (name == std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double microseconds = std::strtod(line.c_str() + time + 1, &end);
  if (end != line.c_str() + proof || !(microseconds >= 0)) return std::nullopt;
  return Parsed{line.substr(0, name), {line.substr(name + 1, time - name - 1), microseconds}};
}

std::string lineOf(const std::string& key, const TuningCache::Winner& winner) {
  char microseconds[32];
  std::snprintf(microseconds, sizeof microseconds, "%.3f", winner.microseconds);
  const std::string text = key + "\t" + field(winner.name) + "\t" + microseconds;
  return text + "\t" + proofOf(text);
}

// Held while one process reads, merges and writes, which takes milliseconds. After 10 seconds the holder must have been
// stopped, and nobody waits any longer. Nor does anybody wait on network folders without locks. The file is still
// replaced as a whole; at worst a winner is measured again.
class Lock {
 public:
  explicit Lock(const std::string& path)
      : file_(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644)) {
    for (int i = 0; file_ >= 0 && flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK && i < 5000; ++i)
      usleep(2000);
  }
  ~Lock() {
    if (file_ >= 0) close(file_);
  }

 private:
  int file_;
};

}  // namespace

TuningCacheLines countLines(std::string_view text) {
  TuningCacheLines lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    ++lines.all;
    if (!parse(std::string(text.substr(0, end)))) ++lines.damaged;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string userCacheFolder() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg && xdg[0] == '/')
    return std::string(xdg) + "/resnode";  // a relative path counts as unset (XDG Base Directory)
  const char* home = std::getenv("HOME");
  if (home && home[0] == '/') return std::string(home) + "/.cache/resnode";
  return {};
}

TuningCache::TuningCache(std::string folder, const std::vector<std::string>& machine, size_t maxLines)
    : maxLines_(maxLines) {
  for (const std::string& each : machine) machine_ += field(each) + "\t";
  if (folder.empty()) folder = userCacheFolder();
  if (folder.empty()) {
    note_ = "there is no cache for measurements: neither XDG_CACHE_HOME nor HOME is an absolute path";
    return;
  }
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || access(folder.c_str(), W_OK | X_OK) != 0) {
    note_ = "there is no cache for measurements: " + folder + ": " + (error ? error.message() : std::strerror(errno));
    return;
  }
  path_ = folder + "/" + kFile;
  size_t age = 0;
  lines_ = read(age);
}

TuningCache::~TuningCache() { save(); }

TuningCache::Lines TuningCache::read(size_t& age) const {
  Lines lines;
  std::error_code error;
  if (!fs::is_regular_file(path_, error) || fs::file_size(path_, error) > kMaxFileBytes || error)
    return lines;  // there is no file, or it is not ours
  std::ifstream file(path_, std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    if (std::optional<Parsed> parsed = parse(line)) lines[parsed->key] = {line, age++};
  }
  return lines;
}

std::optional<TuningCache::Winner> TuningCache::find(const std::string& key) const {
  const std::string full = machine_ + field(key);
  if (const auto it = fresh_.find(full); it != fresh_.end()) return it->second;
  if (const auto it = lines_.find(full); it != lines_.end()) return parse(it->second.text)->winner;
  return std::nullopt;
}

void TuningCache::store(const std::string& key, Winner winner) { fresh_[machine_ + field(key)] = std::move(winner); }

// Removes files that processes of this machine left when they were killed during a write, and files of other machines
// that are a day old.
void TuningCache::removeLeftovers() const {
  const fs::path path(path_);
  const std::string prefix = path.filename().string() + ".";
  std::error_code error;
  for (fs::directory_iterator each(path.parent_path(), error), end; !error && each != end; each.increment(error)) {
    const std::string name = each->path().filename().string();
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    char* rest = nullptr;
    const long writer = std::strtol(name.c_str() + prefix.size(), &rest, 10);
    if (writer <= 0 || *rest != '-' || kill(static_cast<pid_t>(writer), 0) == 0 || errno != ESRCH) continue;
    std::error_code ignored;
    const auto age = fs::file_time_type::clock::now() - fs::last_write_time(each->path(), ignored);
    if (!ignored && age > std::chrono::hours(24)) unlink(each->path().c_str());
  }
}

void TuningCache::save() {
  if (fresh_.empty() || path_.empty()) return;
  const Lock lock(path_ + ".lock");
  size_t age = 0;
  Lines lines = read(age);  // others may have written since
  for (const auto& [key, winner] : fresh_) lines[key] = {lineOf(key, winner), age++};
  std::map<size_t, const std::string*> byAge;
  for (const auto& [key, line] : lines) byAge.emplace(line.age, &line.text);

  std::string content;
  size_t skip = byAge.size() > maxLines_ ? byAge.size() - maxLines_ : 0;
  for (const auto& [when, text] : byAge) {
    if (skip > 0) --skip;
    else content += *text + '\n';
  }
  removeLeftovers();
  // mkstemp creates a new file, so nobody's symbolic link is followed.
  std::string temporary = path_ + "." + std::to_string(getpid()) + "-XXXXXX";
  const int file = mkstemp(temporary.data());
  bool isWritten = file >= 0;
  for (size_t done = 0; isWritten && done < content.size();) {
    const ssize_t count = write(file, content.data() + done, content.size() - done);
    if (count > 0) done += static_cast<size_t>(count);
    else isWritten = count < 0 && errno == EINTR;
  }
  if (!isWritten) note_ = "measurements could not be saved: " + temporary + ": " + std::strerror(errno);
  if (file >= 0) close(file);
  if (!isWritten) {
    if (file >= 0) unlink(temporary.c_str());
    return;
  }
  if (std::rename(temporary.c_str(), path_.c_str()) != 0) {
    note_ = "measurements could not be saved: " + path_ + ": " + std::strerror(errno);
    unlink(temporary.c_str());
    return;
  }
  lines_ = std::move(lines);
  fresh_.clear();
}

}  // namespace resnode
