// SPDX-License-Identifier: Apache-2.0
#include "learning/continual/schedule.h"

#include <cmath>
#include <iterator>
#include <numbers>
#include <string>

#include "common/error.h"

namespace hemafed::learning {

namespace {

constexpr std::string_view kNames[] = {"constant", "linear", "cosine", "step"};

}  // namespace

std::string_view ScheduleName(ScheduleKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

ScheduleKind ScheduleFromName(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) return static_cast<ScheduleKind>(i);
  }
  throw Error(ErrorCode::kInvalidInput,
              "the schedule '" + std::string(name) + "' is not known; there are constant, linear, cosine and step");
}

void CheckSchedule(const ScheduleSettings& settings) {
  if (settings.kind != ScheduleKind::kStep) return;
  if (settings.every_epochs < 1 || !(settings.factor > 0.0 && settings.factor <= 1.0)) {
    throw Error(ErrorCode::kInvalidInput,
                "training settings: schedule step needs every_epochs of at least 1 and a factor above 0, at most 1");
  }
}

double ScheduledRate(const ScheduleSettings& settings, double rate, std::uint64_t step, std::uint64_t steps,
                     std::uint32_t epochs) {
  const double part = static_cast<double>(step) / static_cast<double>(steps);
  switch (settings.kind) {
    case ScheduleKind::kConstant: return rate;
    case ScheduleKind::kLinear: return rate * (1.0 - part);
    case ScheduleKind::kCosine: return rate * 0.5 * (1.0 + std::cos(std::numbers::pi * part));
    case ScheduleKind::kStep: {
      const std::uint64_t falls = step * epochs / steps / settings.every_epochs;
      return rate * std::pow(settings.factor, static_cast<double>(falls));
    }
  }
  return rate;
}

}  // namespace hemafed::learning
