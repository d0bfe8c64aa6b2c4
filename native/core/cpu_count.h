// How many CPUs this process may really use: the default number of threads.
//
// The number of CPUs of the machine is an upper bound only. A container is usually limited by a
// cgroup quota that no affinity call shows, and threads beyond the quota do not add speed: the
// kernel stops all of them for the rest of every period. Two hardware threads of one core share its
// multipliers, so cores are counted, not hardware threads (the default of PyTorch as well).
#pragma once

#include <string>
#include <vector>

namespace laminae {

// Where the Linux files are found. Tests point these at a directory of their own.
struct CpuCountRoots {
  std::string proc_self = "/proc/self";         // holds `cgroup` and `mountinfo`
  std::string cpu = "/sys/devices/system/cpu";  // holds cpu<N>/topology/thread_siblings_list
  std::string mount_prefix;                     // put before the mount points in `mountinfo`
};

// Numbers of the CPUs in the affinity mask of the calling thread, ascending. Empty if the system
// does not tell.
std::vector<int> affinity_cpus();

// Number of distinct cores that the given CPUs belong to; a CPU without topology files is a core of
// its own.
int count_cores(const std::vector<int>& cpus, const CpuCountRoots& roots = {});

// The smallest CPU quota (quota / period, rounded down, at least 1) of the cgroup of this process
// and its ancestors, both v2 (cpu.max) and v1 (cpu.cfs_quota_us). 0 if there is no limit.
int cgroup_cpu_limit(const CpuCountRoots& roots = {});

// min(cores in the affinity mask, cgroup limit), at least 1: the default number of threads.
int available_cores(const CpuCountRoots& roots = {});

// min(CPUs in the affinity mask, cgroup limit), at least 1: more threads than this cannot run at
// the same time.
int available_cpus(const CpuCountRoots& roots = {});

}  // namespace laminae
