// tests/studies/uacl/study_folder.h
// SPDX-License-Identifier: Apache-2.0
//
// A test with a study file and an output folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "common/file_system.h"
#include "studies/uacl/uacl_command.h"
#include "tests/scratch.h"

namespace hemafed::testing_support {

// Largest file of a study's output that a test reads, in bytes.
inline constexpr std::uint64_t kMaxOutputBytes = 64u << 20;

class StudyFolder : public testing::Test {
 protected:
  [[nodiscard]] studies::UaclOptions Options(const std::string& study_text, const Path& data) {
    RealFileSystem().CreateFolders(scratch_ / "study");
    WriteFileAtomically(RealFileSystem(), scratch_ / "study/study.toml", study_text);
    studies::UaclOptions options;
    options.study = scratch_ / "study/study.toml";
    options.data = data;
    options.output = scratch_ / "out";
    options.jobs = 2;
    options.command_line = {"hemafed-study", "uacl"};
    return options;
  }
  // A file of the output folder.
  [[nodiscard]] std::string Output(const std::string& name) {
    return ReadFile(RealFileSystem(), scratch_ / "out" / name, kMaxOutputBytes);
  }
  [[nodiscard]] nlohmann::json Summary() { return nlohmann::json::parse(Output("summary.json")).at("experiments"); }
  Scratch scratch_;
};

// `text` with every `from` replaced, of which there must be one.
inline std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  if (text.find(from) == std::string::npos) ADD_FAILURE() << "there is no '" << from << "'";
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace hemafed::testing_support
