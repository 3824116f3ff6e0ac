// site_agent/launcher/restricted_program.h
// SPDX-License-Identifier: Apache-2.0
//
// Starts a program with its restrictions already on: forked, restricted, then exec'd, so that not one instruction of
// the program runs with more. It inherits nothing but the null device and its two output pipes: no open files, no
// terminal, no working folder of the launcher, no core dumps (they would hold pictures and keys).
//
// The program is killed when the launcher dies, however it dies (parent-death signal). Programs that it starts itself
// stay restricted too, but must see to their own end.
//
// Thread-safety: one thread; the calling process must have one.
#pragma once

#include <string>
#include <vector>

#include "common/descriptor.h"
#include "site_agent/launcher/restrictions.h"

namespace hemafed {

struct ProgramSpec {
  std::string name;                      // "agent", "trainer": in messages and before output lines.
  std::vector<std::string> arguments;    // [0] is the absolute path of the program.
  std::vector<std::string> environment;  // "NAME=value", on top of the launcher's.
  Path working_folder;                   // A granted path; also TMPDIR. Empty: "/".
  Restrictions restrictions;
};

// How a program ended.
struct ProgramEnd {
  bool by_signal = false;
  int value = 0;  // Exit status or signal number.
  bool operator==(const ProgramEnd&) const = default;
};

class RestrictedProgram {
 public:
  // Returns after the exec. Throws Error as ChooseMechanisms and ApplyRestrictions do, and Error(kNotFound) when the
  // program is missing or may not be executed under its own rules; nothing is left running then.
  explicit RestrictedProgram(const ProgramSpec& spec, const Mechanisms& mechanisms);
  // Kills the program if it still runs, and waits for its end.
  ~RestrictedProgram();
  RestrictedProgram(RestrictedProgram&&) noexcept = default;
  RestrictedProgram& operator=(RestrictedProgram&&) = delete;
  RestrictedProgram(const RestrictedProgram&) = delete;
  RestrictedProgram& operator=(const RestrictedProgram&) = delete;

  [[nodiscard]] int process_id() const { return process_id_; }
  // Readable when the program has written; -1 once it has closed that output.
  [[nodiscard]] int output() const { return output_.number(); }
  [[nodiscard]] int errors() const { return errors_.number(); }
  // What has been written to standard output or standard error and not been taken yet, up to 1 MiB; does not block.
  // After the end one call returns all that is left.
  [[nodiscard]] std::string TakeOutput() { return Take(output_); }
  [[nodiscard]] std::string TakeErrors() { return Take(errors_); }
  // Becomes readable when the program has ended.
  [[nodiscard]] int ended() const { return handle_.number(); }

  void Signal(int signal) const;
  // Blocks until the end; call once.
  [[nodiscard]] ProgramEnd Wait();

 private:
  [[nodiscard]] static std::string Take(Descriptor& pipe);

  Descriptor handle_, output_, errors_;
  int process_id_ = -1;
};

}  // namespace hemafed
