// SPDX-License-Identifier: Apache-2.0
#include "site_agent/launcher/loader_trace.h"

#include <elf.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <sstream>

#include "common/descriptor.h"
#include "common/error.h"

namespace hemafed {

namespace {

// LibTorch with CUDA lists about 60 libraries in 6 KB.
constexpr std::size_t kMaxListingBytes = 1 << 20;

// A static program would ignore the request to trace and run. Scripts are traced as their interpreter.
bool IsStatic(const Path& program) {
  const auto file = RealFileSystem().OpenForRead(program);
  const auto read = [&](std::uint64_t offset, auto& out) {
    return file->ReadAt(offset, {reinterpret_cast<std::uint8_t*>(&out), sizeof out}) == sizeof out;
  };
  Elf64_Ehdr header{};
  if (!read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) return true;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    if (!read(header.e_phoff + i * sizeof segment, segment)) return true;
    if (segment.p_type == PT_INTERP) return false;
  }
  return true;
}

}  // namespace

std::vector<Path> ParseLoaderTrace(std::string_view listing, const Path& program) {
  std::vector<Path> libraries;
  std::istringstream lines{std::string(listing)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t arrow = line.find(" => ");
    std::size_t begin = arrow == std::string::npos ? line.find_first_not_of("\t ") : arrow + 4;
    if (begin == std::string::npos) continue;
    if (line.compare(begin, 9, "not found") == 0) {
      throw Error(ErrorCode::kNotFound, program.string() + " needs a library that is not on this machine:" +
                                            line.substr(0, arrow) + "; run scripts/setup.sh and build again");
    }
    const std::size_t end = line.rfind(" (0x");
    // linux-vdso.so.1 has no file, and "statically linked" no path.
    if (line[begin] == '/') libraries.emplace_back(line.substr(begin, end - begin));
  }
  return libraries;
}

std::vector<Path> TraceLoadedObjects(const Path& program) {
  if (IsStatic(program)) return {};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw Error(ErrorCode::kUnavailable, std::string("cannot make a pipe: ") + std::strerror(errno));
  }
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, writer.number(), 1);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::vector<char*> environment;
  std::string trace = "LD_TRACE_LOADED_OBJECTS=1";
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(trace.data());
  environment.push_back(nullptr);
  std::string name = program.string();
  char* arguments[] = {name.data(), nullptr};
  pid_t child = 0;
  const int error = ::posix_spawn(&child, name.c_str(), &actions, nullptr, arguments, environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw Error(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                "cannot start " + name + ": " + std::strerror(error) + "; is HemaFed installed completely?");
  }
  writer.Reset();

  std::string listing;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(reader.number(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (listing.size() < kMaxListingBytes) listing.append(buffer, static_cast<std::size_t>(got));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return ParseLoaderTrace(listing, program);
}

}  // namespace hemafed
