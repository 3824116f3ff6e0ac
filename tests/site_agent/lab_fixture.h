// tests/site_agent/lab_fixture.h
// SPDX-License-Identifier: Apache-2.0
//
// A lab's folders with one "picture", the restrictions of its two programs, and ways to run things under them.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "common/error.h"
#include "site_agent/launcher/restricted_program.h"
#include "site_agent/launcher/site_programs.h"
#include "site_agent/launcher/trial.h"
#include "tests/scratch.h"

namespace hemafed::testing_support {

inline constexpr const char* kPictureText = "not for other eyes";
// A failing program would keep a test waiting; no test measures this time.
inline constexpr int kPatienceMs = 60'000;

inline const Path& TestProgram() {
  static const Path program = HEMAFED_LAUNCHER_TEST_PROGRAM;
  return program;
}

struct Lab {
  Scratch scratch;
  SiteFolders folders;
  Path picture, vault_key, network_key;

  Lab() {
    folders.keys = scratch / "keys";
    folders.jobs = scratch / "jobs";
    folders.trainer = {scratch / "vault"};
    folders.pictures = {scratch / "pictures"};
    for (const char* name : {"keys", "jobs/todo", "jobs/done", "vault", "pictures/blast"}) {
      std::filesystem::create_directories(scratch / name);
    }
    picture = Write("pictures/blast/cell.png", kPictureText);
    vault_key = Write("vault/vault.key", "secret of the vault");
    network_key = Write("keys/network.key", "secret of the network");
  }
  Path Write(const std::string& name, const std::string& text) const {
    std::ofstream(scratch / name) << text;
    return scratch / name;
  }
  [[nodiscard]] Restrictions Agent() const { return AgentRestrictions(folders, TestProgram()); }
  [[nodiscard]] Restrictions Trainer(NetworkPolicy network = NetworkPolicy::kNone) const {
    return TrainerRestrictions(folders, TestProgram(), network);
  }
};

// The attempt's text, from a child with these restrictions.
inline std::string TryRestricted(const Restrictions& restrictions, const std::function<std::string()>& attempt,
                                 const Path& working_folder = "") {
  const Mechanisms mechanisms = ChooseMechanisms(restrictions);
  return RunTrial([&] {
    ApplyRestrictions(restrictions, mechanisms, working_folder);
    return attempt();
  });
}

// "ok", or the name of the error in errno.
inline std::string Outcome(bool succeeded) { return succeeded ? "ok" : ::strerrorname_np(errno); }

struct Finished {
  ProgramEnd end;
  std::string output, errors;
};

// Runs a program to its end under restrictions.
inline Finished RunProgram(const Restrictions& restrictions, std::vector<std::string> arguments) {
  ProgramSpec spec{"program", std::move(arguments), {}, "", restrictions};
  RestrictedProgram program(spec, ChooseMechanisms(restrictions));
  Finished finished;
  for (bool ended = false; !ended;) {
    pollfd watched[] = {{program.ended(), POLLIN, 0}, {program.output(), POLLIN, 0}, {program.errors(), POLLIN, 0}};
    if (::poll(watched, 3, kPatienceMs) <= 0) throw std::runtime_error("the program does not end");
    ended = watched[0].revents != 0;
    finished.output += program.TakeOutput();
    finished.errors += program.TakeErrors();
  }
  finished.end = program.Wait();
  return finished;
}

// A TCP server on loopback that only accepts by its backlog.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.number(), generic, size) != 0 || ::listen(socket_.number(), 8) != 0 ||
        ::getsockname(socket_.number(), generic, &size) != 0) {
      throw std::runtime_error("cannot listen on loopback");
    }
    port_ = ntohs(address.sin_port);
  }
  [[nodiscard]] int port() const { return port_; }
  // Whether somebody has connected since the last call.
  [[nodiscard]] bool WasReached() const {
    pollfd waiting{socket_.number(), POLLIN, 0};
    if (::poll(&waiting, 1, 0) != 1) return false;
    const Descriptor visitor(::accept4(socket_.number(), nullptr, nullptr, SOCK_CLOEXEC));
    return visitor.valid();
  }

 private:
  Descriptor socket_;
  int port_ = 0;
};

// Skips the calling test, saying why, when this machine has not what these restrictions need; says what is used if it
// has.
#define SKIP_UNLESS_POSSIBLE(restrictions)                                            \
  try {                                                                               \
    const ::hemafed::Mechanisms possible = ::hemafed::ChooseMechanisms(restrictions); \
    std::cout << possible.Describe() << "\n";                                         \
  } catch (const ::hemafed::Error& error) {                                           \
    if (error.code() != ::hemafed::ErrorCode::kUnavailable) throw;                    \
    GTEST_SKIP() << "not possible on this machine: " << error.what();                 \
  }

}  // namespace hemafed::testing_support
