// Counting CPUs from files written here: cgroup v1 and v2, containers, core topology.
#include "core/cpu_count.h"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace fs = std::filesystem;

namespace {

// A directory of its own with the files that the counting reads.
class FakeSystem {
 public:
  FakeSystem() {
    static std::atomic<int> number{0};
    const auto unique = std::hash<std::thread::id>{}(std::this_thread::get_id());
    root_ = fs::temp_directory_path() /
            ("laminae-cpu-" + std::to_string(unique) + "-" + std::to_string(++number));
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~FakeSystem() { fs::remove_all(root_); }
  FakeSystem(const FakeSystem&) = delete;
  FakeSystem& operator=(const FakeSystem&) = delete;

  void write(const std::string& path, const std::string& text) {
    const fs::path file = root_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  laminae::CpuCountRoots roots() const {
    laminae::CpuCountRoots roots;
    roots.proc_self = (root_ / "self").string();
    roots.cpu = (root_ / "cpu").string();
    roots.mount_prefix = root_.string();
    return roots;
  }

  int limit() const { return laminae::cgroup_cpu_limit(roots()); }

 private:
  fs::path root_;
};

const char* const kMountV2 =
    "24 1 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate\n";

const char* const kMountV1 =
    "31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "33 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

}  // namespace

TEST_CASE("no files, empty files and garbage mean no limit") {
  FakeSystem system;
  CHECK(system.limit() == 0);
  system.write("self/cgroup", "");
  system.write("self/mountinfo", "");
  CHECK(system.limit() == 0);
  system.write("self/cgroup", "garbage\n0:\n:::\n0::/a\n");
  system.write("self/mountinfo", std::string("1 2 3\n- - -\n\n") + kMountV2);
  CHECK(system.limit() == 0);
  for (const char* text : {"", "\n", "max 100000\n", "x y\n", "0 100000\n", "-5 100000\n",
                           "100000 0\n", "100000 -1\n", "99999999999999999999999 100000\n"}) {
    CAPTURE(text);
    system.write("sys/fs/cgroup/a/cpu.max", text);
    CHECK(system.limit() == 0);
  }
}

TEST_CASE("v2: the quota is rounded down, but is at least 1") {
  FakeSystem system;
  system.write("self/cgroup", "0::/a\n");
  system.write("self/mountinfo", kMountV2);
  struct Case {
    const char* text;
    int cpus;
  };
  for (const Case& c : {Case{"200000 100000\n", 2},
                        {"150000 100000\n", 1},
                        {"399999 100000\n", 3},
                        {"10000 100000\n", 1},
                        {"50000 10000\n", 5},
                        {"300000\n", 3},
                        {"9000000000000000000 1\n", 2147483647}}) {
    CAPTURE(c.text);
    system.write("sys/fs/cgroup/a/cpu.max", c.text);
    CHECK(system.limit() == c.cpus);
  }
}

TEST_CASE("v2: the smallest quota on the way up counts") {
  FakeSystem system;
  system.write("self/cgroup", "0::/user.slice/job/step\n");
  system.write("self/mountinfo", kMountV2);
  system.write("sys/fs/cgroup/user.slice/job/step/cpu.max", "max 100000\n");
  CHECK(system.limit() == 0);
  system.write("sys/fs/cgroup/user.slice/cpu.max", "400000 100000\n");
  CHECK(system.limit() == 4);
  system.write("sys/fs/cgroup/user.slice/job/cpu.max", "800000 100000\n");
  CHECK(system.limit() == 4);
  system.write("sys/fs/cgroup/user.slice/job/step/cpu.max", "300000 100000\n");
  CHECK(system.limit() == 3);
  system.write("sys/fs/cgroup/cpu.max", "200000 100000\n");  // the mount point: a container's own
  CHECK(system.limit() == 2);
  system.write("sys/fs/cgroup/user.slice/other/cpu.max", "100000 100000\n");
  CHECK(system.limit() == 2);
}

TEST_CASE("v2: paths that lie outside of the mount count as its root") {
  FakeSystem system;
  system.write("self/mountinfo", kMountV2);
  system.write("sys/fs/cgroup/cpu.max", "300000 100000\n");
  for (const char* path : {"0::/\n", "0::/../../elsewhere\n", "0::/gone/since\n"}) {
    CAPTURE(path);
    system.write("self/cgroup", path);
    CHECK(system.limit() == 3);
  }
}

TEST_CASE("v1: quota and period of the hierarchy that has the cpu controller") {
  FakeSystem system;
  system.write("self/cgroup",
               "4:memory:/m\n3:cpuset:/other\n2:cpu,cpuacct:/job/a\n1:name=systemd:/\n");
  system.write("self/mountinfo", kMountV1);
  const std::string directory = "sys/fs/cgroup/cpu,cpuacct/";
  CHECK(system.limit() == 0);
  system.write(directory + "job/a/cpu.cfs_quota_us", "-1\n");
  system.write(directory + "job/a/cpu.cfs_period_us", "100000\n");
  CHECK(system.limit() == 0);
  system.write(directory + "job/cpu.cfs_quota_us", "350000\n");
  CHECK(system.limit() == 0);  // no period: no limit known
  system.write(directory + "job/cpu.cfs_period_us", "100000\n");
  CHECK(system.limit() == 3);
  system.write(directory + "job/a/cpu.cfs_quota_us", "50000\n");
  CHECK(system.limit() == 1);
}

TEST_CASE("v1 in a container without a cgroup namespace: the mount shows one cgroup of the host") {
  FakeSystem system;
  system.write("self/cgroup", "2:cpu,cpuacct:/docker/abc/inner\n");
  system.write("self/mountinfo",
               "31 30 0:28 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
  system.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n");
  system.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(system.limit() == 4);
  system.write("sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "200000\n");
  system.write("sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
  CHECK(system.limit() == 2);
  // A path that only begins like the root is not below it.
  system.write("self/cgroup", "2:cpu,cpuacct:/docker/abcdef/inner\n");
  CHECK(system.limit() == 4);
}

TEST_CASE("both versions mounted: the smaller limit counts") {
  FakeSystem system;
  system.write("self/cgroup", "2:cpu:/a\n0::/b\n");
  system.write("self/mountinfo", std::string(kMountV1) + kMountV2);
  system.write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "400000\n");
  system.write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  system.write("sys/fs/cgroup/b/cpu.max", "300000 100000\n");
  CHECK(system.limit() == 3);
}

TEST_CASE("mount points with escaped characters") {
  FakeSystem system;
  system.write("self/cgroup", "0::/\n");
  system.write("self/mountinfo", "30 22 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n");
  system.write("my groups/cpu.max", "200000 100000\n");
  CHECK(system.limit() == 2);
}

TEST_CASE("hardware threads of one core count once") {
  FakeSystem system;
  CHECK(laminae::count_cores({}, system.roots()) == 0);
  CHECK(laminae::count_cores({0, 1, 5}, system.roots()) == 3);
  for (int cpu = 0; cpu < 8; ++cpu) {
    const int core = cpu % 4;
    system.write("cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
                 std::to_string(core) + "," + std::to_string(core + 4) + "\n");
  }
  CHECK(laminae::count_cores({0, 1, 2, 3, 4, 5, 6, 7}, system.roots()) == 4);
  CHECK(laminae::count_cores({0, 4}, system.roots()) == 1);
  CHECK(laminae::count_cores({0, 1, 4}, system.roots()) == 2);
  CHECK(laminae::count_cores({0, 4, 11}, system.roots()) == 2);
}

TEST_CASE("this machine has a CPU, and a limit applies to it") {
  CHECK(laminae::available_cores() >= 1);
  CHECK(laminae::available_cpus() >= laminae::available_cores());
  FakeSystem system;
  system.write("self/cgroup", "0::/a\n");
  system.write("self/mountinfo", kMountV2);
  system.write("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
  CHECK(laminae::available_cores(system.roots()) == 1);
  CHECK(laminae::available_cpus(system.roots()) == 1);
}

#if defined(__linux__)
TEST_CASE("the affinity mask of the thread is respected") {
  std::thread thread([] {
    const std::vector<int> all = laminae::affinity_cpus();
    REQUIRE(!all.empty());
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(all.back()), &one);
    REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
    CHECK(laminae::affinity_cpus() == std::vector<int>{all.back()});
    CHECK(laminae::available_cpus() == 1);
    CHECK(laminae::available_cores() == 1);
  });
  thread.join();
}
#endif
