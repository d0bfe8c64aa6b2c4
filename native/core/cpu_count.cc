// Counting CPUs: affinity mask, core topology, cgroup quotas. Linux files are read as text; every
// file may be missing or odd (sandboxes), which means "no limit known", never an error.
#include "core/cpu_count.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#if defined(__linux__)
#include <sched.h>

#include <cerrno>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#endif

namespace laminae {
namespace {

int hardware_threads() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int hardware_cores() {
#if defined(__APPLE__)
  int cores = 0;
  size_t size = sizeof(cores);
  if (sysctlbyname("hw.physicalcpu", &cores, &size, nullptr, 0) == 0 && cores > 0) return cores;
#endif
  return hardware_threads();
}

bool read_line(const std::string& path, std::string* line) {
  std::ifstream file(path);
  return file && std::getline(file, *line);
}

// Quota over period, rounded down, at least 1: with a quota of 1.5 two spinning threads would be
// throttled. 0 for anything that is no quota ("max", -1, garbage).
int cpus_from_quota(int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<int>(std::clamp<int64_t>(quota / period, 1, INT32_MAX));
}

// v2: "<quota|max> <period>", both in microseconds.
int limit_v2(const std::string& directory) {
  std::string line;
  if (!read_line(directory + "/cpu.max", &line)) return 0;
  std::istringstream words(line);
  int64_t quota = 0, period = 0;
  if (!(words >> quota)) return 0;
  if (!(words >> period)) period = 100000;  // the kernel's default
  return cpus_from_quota(quota, period);
}

int limit_v1(const std::string& directory) {
  std::string quota_line, period_line;
  if (!read_line(directory + "/cpu.cfs_quota_us", &quota_line)) return 0;
  if (!read_line(directory + "/cpu.cfs_period_us", &period_line)) return 0;
  int64_t quota = 0, period = 0;
  if (!(std::istringstream(quota_line) >> quota)) return 0;
  if (!(std::istringstream(period_line) >> period)) return 0;
  return cpus_from_quota(quota, period);
}

int smaller_limit(int a, int b) {
  if (a == 0) return b;
  return b == 0 ? a : std::min(a, b);
}

bool has_item(const std::string& comma_list, const std::string& item) {
  return ("," + comma_list + ",").find("," + item + ",") != std::string::npos;
}

// mountinfo writes space, tab, newline and backslash in paths as \ooo.
std::string unescape_octal(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t k) {
      return i + k < text.size() && text[i + k] >= '0' && text[i + k] <= '7';
    };
    if (text[i] == '\\' && digit(1) && digit(2) && digit(3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// The cgroup of this process in each hierarchy: lines "<id>:<controllers>:<path>", where v2 has
// id 0 and no controllers. An empty path: the process is in no such hierarchy.
struct CgroupPaths {
  std::string v2;
  std::string v1_cpu;
};

CgroupPaths read_cgroup_paths(const CpuCountRoots& roots) {
  CgroupPaths paths;
  std::ifstream file(roots.proc_self + "/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    if (first == std::string::npos) continue;
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      paths.v2 = path;
    } else if (has_item(controllers, "cpu")) {
      paths.v1_cpu = path;
    }
  }
  return paths;
}

struct CgroupMount {
  std::string root;   // path inside the hierarchy that is mounted here
  std::string point;  // where it is mounted
};

// `path` relative to the mount, "" for the mount point itself. Inside a container without a cgroup
// namespace the path is the host's, and what is mounted is that very cgroup; a path that cannot be
// seen from here ("/../other") counts as the mount point.
std::string path_below_mount(const std::string& path, const std::string& root) {
  std::string below = path;
  if (root != "/") {
    const bool inside = path.compare(0, root.size(), root) == 0 &&
                        (path.size() == root.size() || path[root.size()] == '/');
    if (!inside) return "";
    below = path.substr(root.size());
  }
  if (below.find("/..") != std::string::npos) return "";
  while (!below.empty() && below.back() == '/') below.pop_back();
  return below;
}

template <class ReadLimit>
int smallest_limit_upwards(const CgroupMount& mount, const std::string& path,
                           const std::string& prefix, ReadLimit read_limit) {
  const std::string top = prefix + mount.point;
  std::string below = path_below_mount(path, mount.root);
  int limit = 0;
  while (true) {
    limit = smaller_limit(limit, read_limit(top + below));
    if (below.empty()) return limit;
    below.erase(below.rfind('/') == std::string::npos ? 0 : below.rfind('/'));
  }
}

int at_most_limit(int count, const CpuCountRoots& roots) {
  const int limit = cgroup_cpu_limit(roots);
  return limit > 0 ? std::min(count, limit) : count;
}

}  // namespace

std::vector<int> affinity_cpus() {
  std::vector<int> cpus;
#if defined(__linux__)
  // The kernel refuses a set smaller than its own with EINVAL; grow until it fits.
  for (int capacity = CPU_SETSIZE; capacity <= (1 << 18); capacity *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(capacity));
    if (set == nullptr) return cpus;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(capacity));
    CPU_ZERO_S(bytes, set);
    const bool ok = sched_getaffinity(0, bytes, set) == 0;
    const bool too_small = !ok && errno == EINVAL;
    if (ok) {
      for (int cpu = 0; cpu < capacity; ++cpu) {
        if (CPU_ISSET_S(static_cast<size_t>(cpu), bytes, set)) cpus.push_back(cpu);
      }
    }
    CPU_FREE(set);
    if (!too_small) break;
  }
#elif defined(_WIN32)
  DWORD_PTR process_mask = 0, system_mask = 0;
  // 0 for a process that spans several processor groups: then the mask says nothing.
  if (GetProcessAffinityMask(GetCurrentProcess(), &process_mask, &system_mask)) {
    for (int cpu = 0; cpu < static_cast<int>(8 * sizeof(process_mask)); ++cpu) {
      if ((process_mask >> cpu) & 1) cpus.push_back(cpu);
    }
  }
#endif
  return cpus;
}

int count_cores(const std::vector<int>& cpus, const CpuCountRoots& roots) {
  std::set<std::string> siblings;  // the list of a core's CPUs names the core
  int without_topology = 0;
  for (const int cpu : cpus) {
    std::string list;
    const std::string file =
        roots.cpu + "/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list";
    if (read_line(file, &list) && !list.empty()) {
      siblings.insert(list);
    } else {
      ++without_topology;
    }
  }
  return static_cast<int>(siblings.size()) + without_topology;
}

int cgroup_cpu_limit(const CpuCountRoots& roots) {
  const CgroupPaths paths = read_cgroup_paths(roots);
  std::ifstream file(roots.proc_self + "/mountinfo");
  int limit = 0;
  // "36 35 98:0 <root> <mount point> <options> [optional fields] - <type> <source> <options>"
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string skipped, root, point, word, type, source, options;
    if (!(words >> skipped >> skipped >> skipped >> root >> point)) continue;
    while (words >> word && word != "-") {
    }
    if (!(words >> type >> source >> options)) continue;
    const CgroupMount mount{unescape_octal(root), unescape_octal(point)};
    if (type == "cgroup2" && !paths.v2.empty()) {
      limit = smaller_limit(limit,
                            smallest_limit_upwards(mount, paths.v2, roots.mount_prefix, limit_v2));
    } else if (type == "cgroup" && has_item(options, "cpu") && !paths.v1_cpu.empty()) {
      limit = smaller_limit(
          limit, smallest_limit_upwards(mount, paths.v1_cpu, roots.mount_prefix, limit_v1));
    }
  }
  return limit;
}

int available_cores(const CpuCountRoots& roots) {
  const int cores = count_cores(affinity_cpus(), roots);
  // On macOS and Windows the topology is not in files and a mask cannot tell cores apart.
  return at_most_limit(cores > 0 ? std::min(cores, hardware_cores()) : hardware_cores(), roots);
}

int available_cpus(const CpuCountRoots& roots) {
  const int cpus = static_cast<int>(affinity_cpus().size());
  return at_most_limit(cpus > 0 ? cpus : hardware_threads(), roots);
}

}  // namespace laminae
