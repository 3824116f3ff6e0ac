// learning/continual/schedule.h
// SPDX-License-Identifier: Apache-2.0
//
// How the learning rate follows the steps of a task, g = 0 .. G-1 with E epochs of G / E steps:
//
//   constant  lr
//   linear    lr (1 - g / G)                          lr at the first step, lr / G at the last
//   cosine    lr (1 + cos(pi g / G)) / 2              Loshchilov, Hutter, "SGDR", ICLR 2017, eq. 5 without restarts
//   step      lr factor^floor(e / every),  e = floor(g E / G)        times `factor` after every `every` epochs
//
// No LibTorch here. Errors: Error(kInvalidInput) for settings out of range. Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <string_view>

namespace hemafed::learning {

enum class ScheduleKind : std::uint8_t { kConstant, kLinear, kCosine, kStep };
[[nodiscard]] std::string_view ScheduleName(ScheduleKind kind);
// Throws Error(kInvalidInput) that lists the known names.
[[nodiscard]] ScheduleKind ScheduleFromName(std::string_view name);

struct ScheduleSettings {
  ScheduleKind kind = ScheduleKind::kConstant;
  std::uint32_t every_epochs = 10;  // kStep
  double factor = 0.1;              // kStep; above 0, at most 1
};
void CheckSchedule(const ScheduleSettings& settings);

[[nodiscard]] double ScheduledRate(const ScheduleSettings& settings, double rate, std::uint64_t step,
                                   std::uint64_t steps, std::uint32_t epochs);

}  // namespace hemafed::learning
