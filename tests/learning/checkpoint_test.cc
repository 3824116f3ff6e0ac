// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/checkpoint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/expect_error.h"
#include "tests/fault/fault_file_system.h"
#include "tests/learning/philox_tensors.h"

namespace hemafed::learning {
namespace {

using hemafed::testing_support::FaultFileSystem;
using testing_support::Uniform;

Checkpoint Numbered(int number) {
  return {{{"number", number}},
          {{"a", Uniform(static_cast<std::uint64_t>(number), {3, 5}, -1, 1)},
           {"b.steps", at::full({1}, number, at::kLong)},
           {"c", Uniform(7, {4}, -1, 1, at::kDouble)}}};
}

// Which of the numbered checkpoints the folder holds, whole.
int NumberIn(FaultFileSystem& files) {
  const Checkpoint read = ReadCheckpoint(files, "/run");
  const int number = read.fields.at("number").get<int>();
  const Checkpoint want = Numbered(number);
  EXPECT_EQ(read.tensors.size(), want.tensors.size());
  for (const auto& [name, tensor] : want.tensors) EXPECT_TRUE(at::equal(read.tensors.at(name), tensor)) << name;
  return number;
}

std::string StateFile(FaultFileSystem& files) {
  for (const std::string& name : files.List("/run")) {
    if (name.starts_with("state-")) return "/run/" + name;
  }
  return {};
}

TEST(Checkpoint, ComesBackWithEveryBitAndTheOldTensorsGo) {
  FaultFileSystem files;
  EXPECT_FALSE(HasCheckpoint(files, "/run"));
  for (int number = 1; number <= 3; ++number) {
    WriteCheckpoint(files, "/run", Numbered(number));
    EXPECT_TRUE(HasCheckpoint(files, "/run"));
    EXPECT_EQ(NumberIn(files), number);
    EXPECT_EQ(files.List("/run").size(), 2u);
  }
}

TEST(Checkpoint, EveryFailedCallAndLossOfPowerLeavesTheOldOneOrTheNew) {
  std::set<int> seen;
  for (std::uint64_t call = 1;; ++call) {
    FaultFileSystem files;
    WriteCheckpoint(files, "/run", Numbered(1));
    files.FailCall(call, call % 2 == 0 ? ErrorCode::kNoSpace : ErrorCode::kUnavailable);
    bool acknowledged = true;
    try {
      WriteCheckpoint(files, "/run", Numbered(2));
    } catch (const Error&) {
      acknowledged = false;
    }
    if (!files.failed()) break;
    const int before_crash = NumberIn(files);
    files.Crash();
    const int after_crash = NumberIn(files);
    seen.insert(after_crash);
    if (acknowledged) {
      EXPECT_EQ(before_crash, 2);
      EXPECT_EQ(after_crash, 2);
    }
    WriteCheckpoint(files, "/run", Numbered(3));
    EXPECT_EQ(NumberIn(files), 3);
    EXPECT_EQ(files.List("/run").size(), 2u) << "left over after the failure of call " << call;
  }
  EXPECT_EQ(seen, (std::set<int>{1, 2}));
}

TEST(Checkpoint, AFullDiskIsNamedAndTheOldOneIsIntact) {
  FaultFileSystem measured;
  WriteCheckpoint(measured, "/run", Numbered(2));
  const std::uint64_t tensors = measured.Peek(StateFile(measured))->size();
  const std::uint64_t index = measured.Peek("/run/checkpoint.json")->size();
  for (const std::uint64_t free : {std::uint64_t{0}, tensors / 2, tensors - 1, tensors, tensors + index - 1}) {
    FaultFileSystem files;
    WriteCheckpoint(files, "/run", Numbered(1));
    files.SetFreeBytes(free);
    EXPECT_ERROR(ErrorCode::kNoSpace, "the disk is full: the checkpoint in /run",
                 WriteCheckpoint(files, "/run", Numbered(2)));
    files.SetFreeBytes(std::nullopt);
    EXPECT_EQ(NumberIn(files), 1);
    WriteCheckpoint(files, "/run", Numbered(2));
    EXPECT_EQ(NumberIn(files), 2);
  }
}

TEST(Checkpoint, AnyFlippedByteOfTheTensorsIsCorruption) {
  FaultFileSystem files;
  WriteCheckpoint(files, "/run", Numbered(1));
  const std::string path = StateFile(files);
  const std::string good = *files.Peek(path);
  for (std::size_t i = 0; i < good.size(); i += 7) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    files.Plant(path, bad);
    EXPECT_ERROR(ErrorCode::kCorrupt, "digest", (void)ReadCheckpoint(files, "/run"));
  }
  files.Plant(path, good.substr(0, good.size() - 1));
  EXPECT_ERROR(ErrorCode::kCorrupt, "digest", (void)ReadCheckpoint(files, "/run"));
}

TEST(Checkpoint, AnIndexThatIsNotOursIsRefused) {
  FaultFileSystem files;
  EXPECT_ERROR(ErrorCode::kNotFound, "checkpoint.json", (void)ReadCheckpoint(files, "/run"));
  WriteCheckpoint(files, "/run", Numbered(1));
  const std::string good = *files.Peek("/run/checkpoint.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    files.Plant("/run/checkpoint.json", text);
    (void)ReadCheckpoint(files, "/run");
  };
  EXPECT_ERROR(ErrorCode::kInvalidInput, "format", with("checkpoint.1", "checkpoint.2"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "tensors", with("state-0.safetensors", "../../etc/passwd"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "tensors", with("state-0.safetensors", "state-/x.safetensors"));
  EXPECT_ERROR(ErrorCode::kInvalidInput, "more", with("{\"fields\"", "{\"more\":1,\"fields\""));
  for (std::size_t size = 0; size < good.size(); ++size) {
    files.Plant("/run/checkpoint.json", good.substr(0, size));
    EXPECT_THROW((void)ReadCheckpoint(files, "/run"), Error) << size;
  }
}

TEST(Checkpoint, OtherTypesOfTensorsAreRefused) {
  FaultFileSystem files;
  EXPECT_ERROR(ErrorCode::kInvalidInput, "tensor 'x'",
               WriteCheckpoint(files, "/run", {{}, {{"x", at::zeros({2}, at::kBool)}}}));
}

}  // namespace
}  // namespace hemafed::learning
