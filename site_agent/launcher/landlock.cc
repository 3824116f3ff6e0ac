// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "common/descriptor.h"
#include "common/error.h"

namespace hemafed {

namespace {

// What Debian 12's kernel headers (6.1, ABI 2) do not name yet.
constexpr std::uint64_t kTruncate = 1ULL << 14;  // ABI 3
constexpr std::uint64_t kIoctlDev = 1ULL << 15;  // ABI 5
constexpr std::uint64_t kBindTcp = 1ULL << 0;    // ABI 4, in handled_access_net
constexpr std::uint64_t kConnectTcp = 1ULL << 1;
constexpr std::uint64_t kScopeAbstractSockets = 1ULL << 0;  // ABI 6, in scoped
constexpr std::uint64_t kScopeSignals = 1ULL << 1;

// struct landlock_ruleset_attr as of ABI 6; older kernels take a prefix of it.
struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};

constexpr std::uint64_t kReadOnly =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kReadWrite = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                     LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | kTruncate;
constexpr std::uint64_t kDevice =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE | kIoctlDev;
// The rights that a rule on something other than a folder may name.
constexpr std::uint64_t kFileRights =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate | kIoctlDev;

// Every file right that an ABI knows: bits 0 .. 13 up to ABI 2.
constexpr std::uint64_t HandledRights(int abi) {
  std::uint64_t rights = (1ULL << 14) - 1;
  if (abi >= 3) rights |= kTruncate;
  if (abi >= 5) rights |= kIoctlDev;
  return rights;
}

[[noreturn]] void ThrowRefused(const std::string& what) {
  throw Error(ErrorCode::kUnavailable, "Landlock: cannot " + what + ": " + std::strerror(errno));
}

void Grant(int ruleset, const Path& path, std::uint64_t rights) {
  const Descriptor file(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status {};
  if (!file.valid() || ::fstat(file.number(), &status) != 0) ThrowRefused("open " + path.string());
  if (!S_ISDIR(status.st_mode)) rights &= kFileRights;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = rights;
  rule.parent_fd = file.number();
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    ThrowRefused("grant " + path.string());
  }
}

}  // namespace

int LandlockAbi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

void RestrictWithLandlock(const AccessRules& rules, bool refuse_tcp, int abi) {
  if (abi < kOldestLandlockAbi || abi > LandlockAbi()) {
    throw Error(ErrorCode::kInvalidInput, "Landlock ABI " + std::to_string(abi) + " was asked for; this kernel has " +
                                              std::to_string(LandlockAbi()) + " and at least " +
                                              std::to_string(kOldestLandlockAbi) + " is needed");
  }
  RulesetAttributes attributes;
  attributes.handled_access_fs = HandledRights(abi);
  std::size_t size = sizeof attributes.handled_access_fs;
  if (abi >= 4) {
    if (refuse_tcp) attributes.handled_access_net = kBindTcp | kConnectTcp;
    size += sizeof attributes.handled_access_net;
  }
  if (abi >= 6) {
    attributes.scoped = kScopeAbstractSockets | kScopeSignals;
    size += sizeof attributes.scoped;
  }
  const Descriptor ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset.valid()) ThrowRefused("create a ruleset");
  for (const Path& path : rules.read_only) Grant(ruleset.number(), path, kReadOnly & attributes.handled_access_fs);
  for (const Path& path : rules.read_write) Grant(ruleset.number(), path, kReadWrite & attributes.handled_access_fs);
  for (const Path& path : rules.devices) Grant(ruleset.number(), path, kDevice & attributes.handled_access_fs);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ThrowRefused("set no_new_privs");
  if (::syscall(SYS_landlock_restrict_self, ruleset.number(), 0) != 0) ThrowRefused("restrict this process");
}

}  // namespace hemafed
